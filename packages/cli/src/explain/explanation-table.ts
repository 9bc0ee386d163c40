// An explanation as people read it: what the request is, what the router knew, one line per rank, the choice.
//
//   model    m, dyn://default.mm_router.generate, router 8328741188661731593
//   prompt   312 tokens, 1043 characters, 1 image
//   form     1.6 (2 workers): 412 routing tokens, 12 blocks of 32, exact, images named by the router
//   index    answered after 1.2 ms
//
//     worker               rank  overlap  prefill tokens  decode blocks  new blocks  requests   cost
//   * 8328741188661731594     0       12               0              0          13         0  13.88
//
//   choice   8328741188661731594 rank 0, exact
import type { ExplainedKind, Explanation } from "@mm-router/mm-router";

export interface ExplainedChat {
  readonly model: string;
  /** `dyn://…` of the router's endpoint. */
  readonly endpoint: string;
  /** The replica that answered, in decimal digits; each has its own books. */
  readonly router: string;
  readonly block_size: number;
  /** Of the rendered prompt; null when the client sent token ids. */
  readonly prompt_characters: number | null;
  readonly explanation: Explanation;
}

export function explanationTable(chat: ExplainedChat): string {
  const { explanation } = chat;
  const lines = [
    fact("model", `${chat.model}, ${chat.endpoint}, router ${chat.router}`),
    fact("prompt", promptText(chat)),
    ...explanation.kinds.flatMap((kind) => kindLines(kind, chat.block_size)),
    "",
    ...(explanation.candidates.length > 0 ? [...rankLines(explanation), ""] : []),
    fact("choice", choiceText(explanation)),
  ];
  return `${lines.join("\n")}\n`;
}

function promptText({ prompt_characters: characters, explanation }: ExplainedChat): string {
  const text = characters === null ? "given as ids" : counted(characters, "character");
  return `${counted(explanation.prompt_tokens, "token")}, ${text}, ${counted(explanation.images, "image")}`;
}

function kindLines(kind: ExplainedKind, blockSize: number): string[] {
  const who = `${kind.releases.join(", ")} (${counted(kind.workers.length, "worker")})`;
  const named = kind.names_images === null ? "" : `, images named by the ${kind.names_images}`;
  const size = `${counted(kind.routing_tokens, "routing token")}, ${counted(kind.blocks, "block")} of ${blockSize}`;
  return [
    fact("form", `${who}: ${size}, ${kind.quality}${named}`),
    ...kind.degraded.map(reasonLine),
    ...(kind.refusal === null ? [fact("index", indexText(kind.index)), ...kind.index.degraded.map(reasonLine)] : []),
    ...(kind.refusal === null ? [] : [fact("refused", kind.refusal)]),
  ];
}

function indexText({ asked, answered, took_ms: took }: ExplainedKind["index"]): string {
  if (!asked || took === null) return "not asked";
  return `${answered ? "answered" : "gave no answer"} after ${took.toFixed(1)} ms`;
}

function reasonLine({ reason, meaning }: { reason: string; meaning: string }): string {
  return fact("", `${reason}: ${meaning}`);
}

const heads = ["worker", "rank", "overlap", "prefill tokens", "decode blocks", "new blocks", "requests", "cost"];

function rankLines({ candidates, choice }: Explanation): string[] {
  const rows = candidates.map((rank) => [
    rank.worker_id,
    `${rank.dp_rank}`,
    `${rank.overlap_blocks}`,
    `${rank.active_prefill_tokens}`,
    `${rank.active_decode_blocks}`,
    `${rank.new_decode_blocks}`,
    `${rank.active_requests}`,
    rank.cost.toFixed(2),
  ]);
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  ");
  const isChosen = (index: number) => choice?.worker_id === candidates[index]!.worker_id && choice.dp_rank === candidates[index]!.dp_rank;
  return [`  ${line(heads)}`, ...rows.map((row, index) => `${isChosen(index) ? "*" : " "} ${line(row)}`)];
}

function choiceText({ choice, decision, ties, refusal }: Explanation): string {
  if (choice === null) return `none: ${refusal ?? "nobody is there"}`;
  const sure = decision === null ? "" : `, ${decision.quality}${decision.reason === null ? "" : ` (${decision.reason.reason})`}`;
  const name = `${choice.worker_id} rank ${choice.dp_rank}${sure}`;
  const tie = ties.length > 1 ? `, of ${ties.length} that cost the same` : "";
  return refusal === null ? `${name}${tie}` : `${name}${tie}, but it would be refused: ${refusal}`;
}

function fact(name: string, text: string): string {
  return `${name.padEnd(7)}  ${text}`;
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}
