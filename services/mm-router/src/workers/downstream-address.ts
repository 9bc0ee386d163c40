// Which endpoint the workers serve.
//
// The flag's component, as soon as a model card stands there. Its default `trtllm` is what upstream's scripts use; workers
// that were started without them register as `tensorrt_llm` (≤ 1.2) or `backend` (≥ 1.4). So while nothing is registered
// under the default and exactly one other component serves this model, that one is taken.
import { type CardEntry, type EndpointAddress, modelTypesOf, sameAddress } from "@mm-router/protocol";

export const defaultDownstreamComponent = "trtllm";

export interface DownstreamQuestion {
  /** Cards of the namespace. */
  readonly cards: readonly CardEntry[];
  readonly wanted: EndpointAddress;
  /** Our own component: our replicas' cards are no workers. */
  readonly ownComponent: string;
  /** The public name; workers serve it, or hide as `NAME__internal`. */
  readonly modelName: string;
  /** What `--model` says, and the folder it was found in. */
  readonly modelSources: readonly string[];
}

export type DownstreamAnswer =
  | { readonly kind: "found"; readonly address: EndpointAddress; readonly wanted: boolean }
  | { readonly kind: "none" }
  | { readonly kind: "ambiguous"; readonly components: readonly string[] };

export function downstreamAddress(question: DownstreamQuestion): DownstreamAnswer {
  const { cards, wanted } = question;
  if (cards.some(({ address }) => sameAddress(address, wanted))) return { kind: "found", address: wanted, wanted: true };
  if (wanted.component !== defaultDownstreamComponent) return { kind: "none" };
  const serving = cards.filter((entry) => servesModel(entry, question)).map(({ address }) => address);
  const components = [...new Set(serving.map(({ component }) => component))];
  if (components.length > 1) return { kind: "ambiguous", components };
  return serving[0] === undefined ? { kind: "none" } : { kind: "found", address: serving[0], wanted: false };
}

function servesModel({ address, card }: CardEntry, question: DownstreamQuestion): boolean {
  const { wanted, ownComponent, modelName, modelSources } = question;
  if (address.component === ownComponent || address.endpoint !== wanted.endpoint || address.namespace !== wanted.namespace) return false;
  if (modelTypesOf(card).includes("Prefill")) return false;
  const isNamed = card.display_name === modelName || card.display_name === `${modelName}__internal`;
  return isNamed || (typeof card.source_path === "string" && modelSources.includes(card.source_path));
}
