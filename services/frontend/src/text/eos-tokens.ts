// The ids that end a generation.
//
//   generation_config.json "eos_token_id": [151645, 151643]   >   config.json "eos_token_id"   >   config.json "text_config"
//
// Source: Dynamo 1.6.1, model.rs; a number or a list of numbers.
import type { LosslessJson } from "@mm-router/protocol";

type JsonObject = ReadonlyMap<string, LosslessJson>;

export interface EosSources {
  readonly generationConfig: JsonObject | undefined;
  readonly config: JsonObject | undefined;
}

export function eosTokenIdsOf({ generationConfig, config }: EosSources): readonly number[] {
  const textConfig = config?.get("text_config");
  const sources = [generationConfig, config, textConfig instanceof Map ? textConfig : undefined];
  for (const source of sources) {
    const ids = idsOf(source?.get("eos_token_id"));
    if (ids.length > 0) return ids;
  }
  return [];
}

function idsOf(written: LosslessJson | undefined): number[] {
  const ids = Array.isArray(written) ? written : [written];
  return ids.filter((id) => typeof id === "number");
}
