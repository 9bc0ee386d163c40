// `mmr decode`: the text of token ids, also in the pieces in which it would stream.
//
//   {"model":DIR|id,"token_ids":[…],"steps":[2,1,…]?,"prompt_ids":[…]?,"skip_special_tokens":true?}
//     →   {"text":"…","deltas":["…"]?}
//
// `steps` are the tokens per item of a worker, the last of which ends the choice. EOS ids and stop strings are not looked at.
import { AppError, decodeAs } from "@mm-router/protocol";
import { z } from "zod";
import type { LineCommand } from "../jsonl.ts";
import { textModels } from "../text-models.ts";

export const name = "decode";

const tokenIds = z.array(z.int().min(0).max(0xffff_ffff));

const schema = z.object({
  model: z.string(),
  token_ids: tokenIds,
  steps: z.array(z.int().min(0)).optional(),
  prompt_ids: tokenIds.default([]),
  skip_special_tokens: z.boolean().default(true),
});

export function createCommand(): LineCommand {
  const models = textModels();
  return async (json) => {
    const { token_ids: ids, steps, prompt_ids: promptIds, skip_special_tokens: skipSpecialTokens, ...line } = decodeAs(schema, json, name);
    const items = steps === undefined ? [ids] : itemsOf(ids, steps);
    const model = await models.get(line.model);
    const detokenizer = model.detokenizer({ promptIds, skipSpecialTokens });
    const deltas = items.map((item, index) => detokenizer.push(item, index === items.length - 1));
    return { text: deltas.join(""), ...(steps !== undefined && { deltas }) };
  };
}

function itemsOf(ids: readonly number[], steps: readonly number[]): number[][] {
  const sum = steps.reduce((total, step) => total + step, 0);
  if (sum !== ids.length) throw new AppError("invalid_request", `steps take ${sum} tokens, token_ids has ${ids.length}`);
  let end = 0;
  return steps.map((step) => ids.slice(end, (end += step)));
}
