// Chats that go on for some turns, several at a time, the same ones in every run: what a cache of few blocks sees.
//
//   open dialogues   ┌ A₁ ── A₂ ────── A₂ again ── A₃ ┐         one turn at a time, of a dialogue drawn by lot;
//                    └──── B₁ ──── B₂ ──── …          ┘         one that ended is replaced by a new one
//
// Few system prompts and few pictures, so that dialogues share beginnings; many words, so that old ones are evicted.
import { golden, type ImageServer } from "@mm-router/testkit";
import { Dice } from "../../swap/harness/dice.ts";
import type { Message, Part } from "../../swap/harness/conversations.ts";

export interface Turn {
  readonly title: string;
  /** Of the dialogue: it keeps to one frontend. */
  readonly number: number;
  readonly messages: readonly Message[];
}

export interface DialogueOptions {
  /** Without pictures. */
  readonly text: number;
  /** With at least one. */
  readonly images: number;
  /** Serves the pictures of every third dialogue; the others have them as `data:` URLs. */
  readonly server: ImageServer;
}

const turnsOfDialogue = 3;
const openAtOnce = 6;
const words =
  "amber basalt cedar delta ember fjord granite harbour indigo juniper kelp lichen marble nectar onyx pebble quartz raven".split(" ");
const answer: Message = { role: "assistant", content: "I see." };

interface Dialogue {
  readonly number: number;
  readonly hasImages: boolean;
  turns: number;
  messages: readonly Message[];
}

export function* turns({ text, images, server }: DialogueOptions): Generator<Turn> {
  const dice = new Dice(20_261_121);
  const album = new Album(server);
  const waiting = shuffled([...new Array<boolean>(text).fill(false), ...new Array<boolean>(images).fill(true)], dice).entries();
  const open: Dialogue[] = [];
  for (;;) {
    while (open.length < openAtOnce) {
      const next = waiting.next();
      if (next.done === true) break;
      const [number, hasImages] = next.value;
      open.push({ number, hasImages, turns: 0, messages: [] });
    }
    if (open.length === 0) return;
    const dialogue = dice.of(open);
    goOn(dialogue, dice, album);
    const { number, messages } = dialogue;
    const title = `dialogue ${number}, turn ${dialogue.turns}`;
    yield { title, number, messages };
    if (dice.below(5) === 0) yield { title: `${title} again`, number, messages };
    if (dialogue.turns === turnsOfDialogue) open.splice(open.indexOf(dialogue), 1);
  }
}

function goOn(dialogue: Dialogue, dice: Dice, album: Album): void {
  const { number, hasImages, messages } = dialogue;
  const isFirst = messages.length === 0;
  const pictures = hasImages ? (isFirst ? 1 + dice.below(2) : dice.below(4) === 0 ? 1 : 0) : 0;
  const parts: Part[] = [{ type: "text", text: sentence(dice, 1 + dice.below(60)) }];
  for (let i = 0; i < pictures; i++) {
    const picture: Part = { type: "image_url", image_url: { url: album.picture(dice, number) } };
    parts.splice(dice.below(parts.length + 1), 0, picture, { type: "text", text: sentence(dice, dice.below(30)) });
  }
  const start: readonly Message[] = isFirst ? systemPrompt(dice) : [...messages, answer];
  dialogue.messages = [...start, { role: "user", content: parts }];
  dialogue.turns++;
}

/** None, or one of three. */
function systemPrompt(dice: Dice): readonly Message[] {
  const which = dice.below(4);
  return which === 0 ? [] : [{ role: "system", content: `${which} ${words.join(" ")} `.repeat(3 * which).trim() }];
}

function sentence(dice: Dice, length: number): string {
  return Array.from({ length }, () => dice.of(words)).join(" ");
}

function shuffled<T>(items: readonly T[], dice: Dice): T[] {
  const rest = [...items];
  return items.map(() => rest.splice(dice.below(rest.length), 1)[0]!);
}

/** The pictures of the golden files: PNG, JPEG and WebP, 1 to 320 tokens. */
class Album {
  private readonly dataUrls: readonly string[];
  private readonly server: ImageServer;

  constructor(server: ImageServer) {
    this.dataUrls = Object.values(golden<{ pictures: Record<string, string> }>("engine/images-1.6.1.json").pictures);
    this.server = server;
  }

  picture(dice: Dice, dialogue: number): string {
    const n = dice.below(this.dataUrls.length);
    const url = this.dataUrls[n]!;
    if (dialogue % 3 !== 0) return url;
    const [, contentType, base64] = /^data:(.*);base64,(.*)$/.exec(url)!;
    return this.server.put(`/${n}`, { body: Buffer.from(base64!, "base64"), contentType: contentType! });
  }
}
