// Chat messages that are made of another API's.
import type { LosslessJson } from "@mm-router/protocol";
import type { JsonMap } from "./shape.ts";

export function messageOf(role: string, content: LosslessJson): JsonMap {
  return mapOf({ role, content });
}

export function textPart(text: string): JsonMap {
  return mapOf({ type: "text", text });
}

export function imagePart(url: string, detail: LosslessJson): JsonMap {
  return mapOf({ type: "image_url", image_url: mapOf({ url, detail }) });
}

/**
 * One turn of the assistant, gathered from thoughts, text and calls as they come.
 *
 * Thoughts stay where they were among the calls: `reasoning_content` is then a list, one entry before each call and one after
 * the last, so that a template can write the turn again as the model wrote it (else the worker's cache misses it).
 */
export class AssistantTurn {
  #text = "";
  #reasoning = "";
  readonly #thoughts: string[] = [];
  readonly #calls: JsonMap[] = [];

  say(text: string): void {
    this.#text += text;
  }

  /** @param separator between two thoughts that follow each other */
  think(text: string, separator = ""): void {
    this.#reasoning += this.#reasoning === "" ? text : separator + text;
  }

  /** @param written the arguments as JSON text */
  call(id: string, name: string, written: string): void {
    this.#thoughts.push(this.#reasoning);
    this.#reasoning = "";
    this.#calls.push(mapOf({ id, type: "function", function: mapOf({ name, arguments: written }) }));
  }

  message(): JsonMap {
    const message: JsonMap = mapOf({ role: "assistant" });
    if (this.#text !== "" || this.#calls.length === 0) message.set("content", this.#text);
    const thoughts = [...this.#thoughts, this.#reasoning];
    if (thoughts.some((each) => each !== "")) message.set("reasoning_content", this.#calls.length > 0 ? thoughts : this.#reasoning);
    if (this.#calls.length > 0) message.set("tool_calls", this.#calls);
    return message;
  }
}

function mapOf(members: Readonly<Record<string, LosslessJson>>): JsonMap {
  return new Map(Object.entries(members));
}
