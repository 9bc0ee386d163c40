// Token texts → text, by the decoder that tokenizer.json names.
//
//   ByteLevel   ["Ġyou"] → " you"           characters are bytes; broken UTF-8 is U+FFFD per maximal part
//   Sequence    Replace "▁"→" " · ByteFallback "<0xE4>" → byte · Fuse · Strip one leading space
//   Metaspace   "▁" → " ", but for the first token
//
// Source: Hugging Face tokenizers 0.23, decoders/*.rs. ByteFallback: a run of byte tokens that is no UTF-8 is one U+FFFD per
// byte, good ones included.
import { AppError } from "@mm-router/protocol";
import { tokenBytes } from "../tokenizer/byte-alphabet.ts";
import type { Stage } from "../tokenizer/tokenizer-file.ts";

/** One step: texts of tokens in, texts out. */
type Step = (texts: readonly string[]) => readonly string[];

export class Decoder {
  /** Whether byte tokens `<0xHH>` are bytes. */
  readonly hasByteTokens: boolean;
  /** Whether the characters of a token are bytes. */
  readonly isByteLevel: boolean;
  readonly #steps: readonly Step[];
  readonly #separator: string;

  /** @throws AppError `configuration` for a step that we do not know */
  constructor(decoder: Stage | null) {
    const stages = decoder?.type === "Sequence" ? (decoder["decoders"] as readonly Stage[]) : decoder === null ? [] : [decoder];
    this.#steps = stages.map(stepOf);
    this.#separator = decoder === null ? " " : "";
    this.hasByteTokens = stages.some(({ type }) => type === "ByteFallback");
    this.isByteLevel = stages.some(({ type }) => type === "ByteLevel");
  }

  decode(tokens: readonly string[]): string {
    let texts = tokens;
    for (const step of this.#steps) texts = step(texts);
    return texts.length === 1 ? (texts[0] ?? "") : texts.join(this.#separator);
  }
}

function stepOf(stage: Stage): Step {
  switch (stage.type) {
    case "ByteLevel":
      return (tokens) => [byteLevelText(tokens)];
    case "ByteFallback":
      return withBytesDecoded;
    case "Fuse":
      return (texts) => [texts.join("")];
    case "Replace":
      return replacing(stage);
    case "Strip":
      return stripping(stage);
    case "Metaspace":
      return metaspace(stage);
    default:
      throw new AppError("configuration", `tokenizer.json has a decoder ${stage.type}, which is not supported`);
  }
}

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const strictUtf8 = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

function byteLevelText(tokens: readonly string[]): string {
  return utf8.decode(tokens.length === 1 ? tokenBytes(tokens[0] as string) : Buffer.concat(tokens.map(tokenBytes)));
}

const byteToken = /^<0x([0-9A-Fa-f]{2})>$/;

/** The byte that a token `<0xHH>` stands for. */
export function byteOf(token: string): number | undefined {
  if (token.length !== 6 || !token.startsWith("<0x")) return undefined;
  const digits = byteToken.exec(token)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

const withBytesDecoded: Step = (tokens) => {
  const texts: string[] = [];
  let run: number[] = [];
  const endRun = () => {
    if (run.length > 0) texts.push(runText(run));
    run = [];
  };
  for (const token of tokens) {
    const byte = byteOf(token);
    if (byte !== undefined) run.push(byte);
    else {
      endRun();
      texts.push(token);
    }
  }
  endRun();
  return texts;
};

function runText(bytes: readonly number[]): string {
  try {
    return strictUtf8.decode(Uint8Array.from(bytes));
  } catch {
    return "\ufffd".repeat(bytes.length); // one per byte, as in the original
  }
}

function replacing(stage: Stage): Step {
  const pattern = (stage["pattern"] as { readonly String?: string } | undefined)?.String;
  const content = stage["content"];
  if (pattern === undefined || typeof content !== "string")
    throw new AppError("configuration", "tokenizer.json: decoder Replace without text");
  return (texts) => texts.map((text) => text.replaceAll(pattern, content));
}

/** Up to `start` leading and `stop` trailing characters, as far as they are `content`. */
function stripping(stage: Stage): Step {
  const [content, start, stop] = [String(stage["content"]), Number(stage["start"]), Number(stage["stop"])];
  return (texts) =>
    texts.map((text) => {
      let [from, to] = [0, text.length];
      while (from < start && from < to && text[from] === content) from++;
      while (text.length - to < stop && to > from && text[to - 1] === content) to--;
      return text.slice(from, to);
    });
}

function metaspace(stage: Stage): Step {
  const mark = typeof stage["replacement"] === "string" ? stage["replacement"] : "▁";
  const first = stage["prepend_scheme"] === "never" ? " " : "";
  return (texts) => texts.map((text, index) => text.replaceAll(mark, index === 0 ? first : " "));
}
