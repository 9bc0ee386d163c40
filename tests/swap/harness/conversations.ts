// Conversations with images, as many and as different as one likes, the same ones in every run.
//
//   conversation n ─ shape n mod shapes, n words of text before it, pictures of many sizes and formats ─► first and second request
//
// Two words more or less move every image by so many tokens: over the conversations of a shape its images begin and end at every
// place of a block. The second request has the first one's messages, an answer and another question.
import { dataUrl, golden, goldenPath, type ImageServer, solidPng } from "@mm-router/testkit";
import { readFileSync } from "node:fs";

export type Part =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image_url"; readonly image_url: { readonly url: string } };

export interface Message {
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string | readonly Part[];
  readonly tool_call_id?: string;
}

export interface Conversation {
  readonly number: number;
  /** Shape and number, for messages about what differs. */
  readonly title: string;
  readonly first: readonly Message[];
  readonly second: readonly Message[];
}

/** What a shape is made of. */
interface Material {
  /** Makes the conversation's first block its own, and moves what follows. */
  readonly lead: string;
  /** Another picture with every call. */
  picture(): string;
}

const text = (words: string): Part => ({ type: "text", text: words });
const image = (url: string): Part => ({ type: "image_url", image_url: { url } });
const user = (...parts: Part[]): Message => ({ role: "user", content: parts });
const answer: Message = { role: "assistant", content: "I see a square of one colour." };
const tools = '# Tools\n{"name": "zoom", "parameters": {"type": "object", "properties": {"factor": {"type": "number"}}}}';

/** So that each prompt has a whole block of its own behind the template's common words, however small its image. */
const wordsMin = 16;

type Shape = (material: Material) => readonly Message[];

const shapes: Readonly<Record<string, Shape>> = {
  "image last": ({ lead, picture }) => [user(text(lead), image(picture()))],
  "image between text": ({ lead, picture }) => [user(text(lead), image(picture()), text(" What is this?"))],
  "system prompt": ({ lead, picture }) => [{ role: "system", content: lead }, user(image(picture()), text("Describe it."))],
  "adjacent images": ({ lead, picture }) => [user(text(lead), image(picture()), image(picture()), text("Compare."))],
  "the same image twice": ({ lead, picture }) => {
    const twice = picture();
    return [user(text(lead), image(twice), text(" and "), image(picture()), text(" and again "), image(twice))];
  },
  "the same image twice, adjacent": ({ lead, picture }) => {
    const twice = picture();
    return [user(text(lead), image(twice), image(twice), text("Which is first?"))];
  },
  "many images": ({ lead, picture }) => [user(text(lead), ...Array.from({ length: 6 }, () => [text(" next "), image(picture())]).flat())],
  "images in earlier turns": ({ lead, picture }) => [
    user(text(lead), image(picture())),
    answer,
    user(text("And in this one?"), image(picture())),
    answer,
    user(text("Compare both.")),
  ],
  "tools and their results": ({ lead, picture }) => [
    { role: "system", content: `${lead}\n${tools}` },
    user(image(picture()), text("Look closer.")),
    { role: "assistant", content: '{"name": "zoom", "arguments": {"factor": 2}}' },
    { role: "tool", tool_call_id: "1", content: "done" },
    user(text("What do you see now?"), image(picture())),
  ],
};

export interface ConversationOptions {
  readonly count: number;
  /** Of every third picture; the others are `data:` URLs, without it all are. */
  readonly server?: ImageServer | undefined;
}

export function conversations({ count, server }: ConversationOptions): Conversation[] {
  const names = Object.keys(shapes);
  const album = new Album(server);
  return Array.from({ length: count }, (_, n) => {
    const name = names[n % names.length]!;
    const shape = shapes[name]!;
    const lead = `Number ${String(n).padStart(3, "0")}:${" tree".repeat(wordsMin + (n % 67))}`;
    const first = shape({ lead, picture: () => album.next() });
    const more = user(text("Say more."), ...(n % 4 === 0 ? [image(album.next())] : []));
    return { number: n, title: `${name} (${n})`, first, second: [...first, answer, more] };
  });
}

/** Pictures of all accepted formats and of many sizes; each call gives one that no other call gave. */
class Album {
  private readonly server: ImageServer | undefined;
  private readonly files: readonly string[];
  private used = 0;

  constructor(server: ImageServer | undefined) {
    const { cases } = golden<{ cases: { file: string; accepted: boolean; width: number; height: number }[] }>("multimodal/decode.json");
    this.server = server;
    this.files = cases.filter(({ accepted }) => accepted).map(({ file }) => file);
  }

  next(): string {
    const n = this.used++;
    const bytes = n % 2 === 0 && n / 2 < this.files.length ? readFileSync(goldenPath(`multimodal/files/${this.files[n / 2]}`)) : drawn(n);
    return this.server !== undefined && n % 3 === 0 ? this.server.put(`/${n}`, { body: bytes }) : dataUrl(bytes);
  }
}

/** From a few pixels to some hundred, wide, tall and square; the colour tells each from the others. */
function drawn(n: number): Buffer {
  const width = 20 + ((n * 37) % 380);
  const height = 20 + ((n * 91) % 290);
  return solidPng(width, height, (0x204060 + n * 0x01_03_05) % 0x1_00_00_00);
}
