// The bytes of a tokenizer.json → its values, in steps: the file may have 30 MB, nearly all of it two tables.
//
//   …,"model":{"type":"BPE",…,"vocab":{"a":0,…},"merges":["a b",…]}}      as Hugging Face tokenizers writes it
//                             └ slice by slice ┘         └ the same ┘
//
// A slice ends at a comma. Within a string or a nested list it would leave that open, which JSON.parse refuses: then the next
// comma is tried. Whatever is not of this form is parsed at once.
import { AppError } from "@mm-router/protocol";
import type { Steps } from "../steps.ts";

/** "left right", or both apart. */
export type Merge = string | readonly [string, string];

export interface BpeTables {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly merges: readonly Merge[];
}

export interface TokenizerJson {
  readonly file: Readonly<Record<string, unknown>>;
  /** What `file` has nothing of then; undefined where it is whole. */
  readonly tables: BpeTables | undefined;
}

/** A millisecond or two of parsing. */
const defaultSliceBytes = 64 * 1024;
const comma = 0x2c;
/** Commas that may fail as the end of one slice: strings of published vocabularies have a handful. */
const triesMax = 64;

/** @throws AppError `configuration` for what is not JSON */
export function* readTokenizerJson(bytes: Uint8Array, sliceBytes = defaultSliceBytes): Steps<TokenizerJson> {
  const json = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const spans = tableSpans(json);
  const frame = spans && parsed(Buffer.concat([json.subarray(0, spans[0]), json.subarray(spans[1], spans[2]), json.subarray(spans[3])]));
  if (spans === undefined || !isFrame(frame)) return { file: wholeFile(json), tables: undefined };
  yield;
  const vocabulary = new Map<string, number>();
  const isObject = yield* slice(json.subarray(spans[0], spans[1]), "{}", sliceBytes, (part) => {
    const ids = part as Readonly<Record<string, number>>;
    for (const token in ids) vocabulary.set(token, ids[token] as number); // a third of the time of Object.entries
  });
  const merges: Merge[] = [];
  const isList = yield* slice(json.subarray(spans[2], spans[3]), "[]", sliceBytes, (part) => {
    for (const merge of part as readonly Merge[]) merges.push(merge);
  });
  return isObject && isList ? { file: frame, tables: { vocabulary, merges } } : { file: wholeFile(json), tables: undefined };
}

type Spans = readonly [vocabStart: number, vocabEnd: number, mergesStart: number, mergesEnd: number];

/** Where the contents of both tables are, brackets excluded. */
function tableSpans(json: Buffer): Spans | undefined {
  const text = json.toString("latin1"); // an offset in it is one in the bytes
  const vocab = /"vocab"\s*:\s*\{/.exec(text);
  const between = /\}\s*,\s*"merges"\s*:\s*\[/g;
  between.lastIndex = vocab === null ? text.length : vocab.index + vocab[0].length;
  const merges = between.exec(text);
  const end = /\]\s*\}\s*\}\s*$/.exec(text.slice(-256));
  if (vocab === null || merges === null || end === null) return undefined;
  return [vocab.index + vocab[0].length, merges.index, merges.index + merges[0].length, text.length - end[0].length];
}

/** Whether this is the file without exactly its two tables. */
function isFrame(file: unknown): file is Readonly<Record<string, unknown>> {
  const { vocab, merges } = ((file as { model?: unknown } | undefined)?.model ?? {}) as { vocab?: object; merges?: unknown };
  const hasNoVocabulary = typeof vocab === "object" && vocab !== null && !Array.isArray(vocab) && Object.keys(vocab).length === 0;
  return hasNoVocabulary && Array.isArray(merges) && merges.length === 0;
}

/** Parses members between these brackets, some at a time. @returns false where that does not work */
function* slice(content: Buffer, brackets: "{}" | "[]", sliceBytes: number, take: (part: unknown) => void): Steps<boolean> {
  for (let start = 0, tries = 0, length = sliceBytes; start < content.length; ) {
    const found = content.indexOf(comma, start + length);
    const end = found < 0 ? content.length : found;
    const part = parsed(Buffer.concat([Buffer.from(brackets[0]!), content.subarray(start, end), Buffer.from(brackets[1]!)]));
    if (part === undefined) {
      if (found < 0 || ++tries === triesMax) return false;
      length = end + 1 - start;
      continue;
    }
    take(part);
    yield;
    [start, tries, length] = [end + 1, 0, sliceBytes];
  }
  return true;
}

function wholeFile(json: Buffer): Readonly<Record<string, unknown>> {
  const file = parsed(json);
  if (typeof file === "object" && file !== null) return file as Readonly<Record<string, unknown>>;
  throw new AppError("configuration", "tokenizer.json is not JSON");
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** JSON.parse: no number in the file is beyond 2^53. @returns undefined for what is not JSON */
function parsed(json: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(json)) as unknown;
  } catch {
    return undefined;
  }
}
