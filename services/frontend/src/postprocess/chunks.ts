// Chunks of a streamed answer, as JSON text.
//
//   chat        {"id","choices":[{"index":0,"delta":{"content":"Hi","role":"assistant"},"finish_reason":null,"logprobs":null}],
//                "created","model","object":"chat.completion.chunk",["usage"],["nvext"]}
//   completion  {"id","choices":[{"text":"Hi","index":0,["logprobs"],["finish_reason"]}],
//                "created","model","system_fingerprint":null,"object":"text_completion","usage":null,["nvext"]}
//
// Source: Dynamo 1.6.1, key order included; evidence: golden frontend chat.*, cmpl.*.
// I1  Written by concatenation around constant parts: this runs once per generated token.
import { stringifyJson } from "@mm-router/protocol";
import type { PieceExtras } from "./chat-answer.ts";
import type { ChatPiece } from "./chat-pieces.ts";
import type { FinishReason } from "./choice-stream.ts";
import type { CompletionLogprobs } from "./logprobs.ts";
import type { NvextOut } from "./nvext-fields.ts";
import type { Usage } from "./usage.ts";

export interface AnswerIdentity {
  /** `chatcmpl-…`, `cmpl-…`. */
  readonly id: string;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
}

/** Members that stand beside `choices`; absent ones are left out. */
export interface ChunkExtras {
  readonly usage?: Usage | undefined;
  readonly nvext?: NvextOut | undefined;
}

export class ChatChunks {
  readonly #head: string;
  readonly #tail: string;
  readonly #reasoningField: string;

  /** @param reasoningField name of the member that holds thoughts */
  constructor({ id, model, created }: AnswerIdentity, reasoningField = "reasoning_content") {
    this.#head = `{"id":${JSON.stringify(id)},"choices":[`;
    this.#tail = `],"created":${created},"model":${JSON.stringify(model)},"object":"chat.completion.chunk"`;
    this.#reasoningField = reasoningField;
  }

  choice(index: number, piece: ChatPiece, role: boolean, extras: PieceExtras): string {
    const end = piece.finishReason === undefined ? "null" : `"${piece.finishReason}"`;
    const odds = extras.logprobs === undefined ? "null" : JSON.stringify(extras.logprobs);
    return `${this.#head}{"index":${index},"delta":${this.#delta(piece, role)},"finish_reason":${end},"logprobs":${odds}}${this.#tail}${extrasJson(extras)}}`;
  }

  /** The chunk without choices that ends a stream with usage. */
  usage(usage: Usage): string {
    return `${this.#head}${this.#tail}${extrasJson({ usage })}}`;
  }

  /** A chunk that tells nothing. */
  empty(): string {
    return `${this.#head}${this.#tail}}`;
  }

  #delta({ content, reasoning, toolCalls }: ChatPiece, role: boolean): string {
    let members = content === undefined ? "" : `,"content":${JSON.stringify(content)}`;
    if (toolCalls !== undefined) members += `,"tool_calls":${JSON.stringify(toolCalls)}`;
    if (role) members += ',"role":"assistant"';
    if (reasoning !== undefined) members += `,"${this.#reasoningField}":${JSON.stringify(reasoning)}`;
    return `{${members.slice(1)}}`;
  }
}

export class CompletionChunks {
  readonly #head: string;
  readonly #tail: string;

  constructor({ id, model, created }: AnswerIdentity) {
    this.#head = `{"id":${JSON.stringify(id)},"choices":[`;
    this.#tail = `],"created":${created},"model":${JSON.stringify(model)},"system_fingerprint":null,"object":"text_completion","usage":`;
  }

  choice(
    index: number,
    text: string,
    finish: FinishReason | undefined,
    logprobs: CompletionLogprobs | undefined,
    extras: ChunkExtras,
  ): string {
    const odds = logprobs === undefined ? "" : `,"logprobs":${JSON.stringify(logprobs)}`;
    const end = finish === undefined ? "" : `,"finish_reason":"${finish}"`;
    return `${this.#head}{"text":${JSON.stringify(text)},"index":${index}${odds}${end}}${this.#tail}${this.#usageJson(extras)}}`;
  }

  usage(usage: Usage): string {
    return `${this.#head}${this.#tail}${this.#usageJson({ usage })}}`;
  }

  /** A chunk that tells nothing. */
  empty(): string {
    return this.#head + this.#tail + "null}";
  }

  #usageJson({ usage, nvext }: ChunkExtras): string {
    return `${usage === undefined ? "null" : JSON.stringify(usage)}${nvext === undefined ? "" : `,"nvext":${stringifyJson(nvext)}`}`;
  }
}

/** `nvext` holds u64 instance ids. */
function extrasJson({ usage, nvext }: ChunkExtras): string {
  return `${usage === undefined ? "" : `,"usage":${JSON.stringify(usage)}`}${nvext === undefined ? "" : `,"nvext":${stringifyJson(nvext)}`}`;
}
