// What upstream's mm_router_worker took, measured as router-table.ts measures (spec: peer.md §10), and how much less a router of ours
// is to take. Where two runs of the same router gave a range, its middle.
import { golden } from "@mm-router/testkit";

export type PeerRelease = "1.0.2" | "1.4.2";

export interface PeerLoad {
  readonly name: string;
  readonly kind: "text" | "warm" | "cold";
  /** Tokens of a text prompt, side of a picture. */
  readonly size: number;
  readonly atOnce: number;
  readonly requests: number;
  readonly peer: Readonly<Record<PeerRelease, PeerFigure>>;
  readonly bars: PeerBars;
}

export interface PeerFigure {
  /** In the router, per request. */
  readonly cpuMs: number;
  readonly addedP50Ms?: number;
  /** Requests/s through the router, and of the worker alone: what the machine could do on that day. */
  readonly rate?: { readonly through: number; readonly alone: number };
}

/** Ours for each of upstream's. */
export interface PeerBars {
  readonly cpu: number;
  readonly added?: number;
  readonly rate?: number;
}

const text = { cpu: 1 / 2, added: 1 / 2 };
const warm = { cpu: 1 / 10, rate: 5 };
const cold = { cpu: 1 / 3 };
const figure = (cpuMs: number, addedP50Ms?: number): PeerFigure => ({ cpuMs, ...(addedP50Ms !== undefined && { addedP50Ms }) });
const rate = (cpuMs: number, through: number, alone: number): PeerFigure => ({ cpuMs, rate: { through, alone } });

export const peerLoads: readonly PeerLoad[] = [
  load("text", 140, 1, 200, text, figure(2.4, 2.2), figure(1.9, 1.9)),
  load("text", 140, 16, 800, { cpu: text.cpu }, rate(1.1, 415, 571), rate(1.1, 450, 582)),
  load("text", 2_000, 1, 160, text, figure(3.2, 4.9), figure(2.6, 2)),
  load("warm", 512, 1, 100, { cpu: warm.cpu }, figure(39, 26), figure(24, 16)),
  load("warm", 512, 8, 400, warm, rate(24, 55, 413), rate(21, 63, 503)),
  load("cold", 256, 1, 60, cold, figure(21, 16), figure(28.5, 20.5)),
  load("cold", 512, 1, 60, cold, figure(31, 20), figure(25, 17)),
  load("cold", 1024, 1, 40, cold, figure(95, 62.5), figure(88, 58)),
];

/** Of the whole process. Ready: from the start of the process to its record. */
export const peerProcess = { residentMib: 983, memoryBar: 1 / 5, readyMs: { "1.0.2": 5_700, "1.4.2": 6_100 }, readyBarMs: 1_000 };

function load(
  kind: PeerLoad["kind"],
  size: number,
  atOnce: number,
  requests: number,
  bars: PeerBars,
  old: PeerFigure,
  recent: PeerFigure,
): PeerLoad {
  const what = kind === "text" ? `${size} tokens` : `${kind} ${size}²`;
  return { name: `${what}, ${atOnce} at once`, kind, size, atOnce, requests, peer: { "1.0.2": old, "1.4.2": recent }, bars };
}

interface Received {
  readonly [member: string]: unknown;
  readonly extra_args: {
    readonly messages: readonly { readonly content: readonly Record<string, unknown>[] }[];
    readonly mm_hashes?: unknown;
  };
}

/** Requests as that release's frontend sends them to a router, with tokens and pictures of our choice. */
export function bodiesOf(release: PeerRelease): { text(tokenIds: readonly number[]): object; image(url: string, name: string): object } {
  const { cases } = golden<{ cases: { received: Received }[] }>(`peer/images-${release}.json`);
  const { multi_modal_data: _data, mm_routing_info: _info, extra_args, ...plain } = cases[0]!.received;
  const [message] = extra_args.messages;
  const imagePart = (url: string) => (part: Record<string, unknown>) =>
    part["type"] === "image_url" ? { ...part, image_url: { url } } : part;
  return {
    text: (tokenIds) => ({ ...plain, token_ids: tokenIds }),
    image: (url, name) => ({
      ...plain,
      multi_modal_data: { image_url: [{ Url: url }] },
      extra_args: {
        ...extra_args,
        messages: [{ ...message, content: message!.content.map(imagePart(url)) }],
        ...(extra_args.mm_hashes !== undefined && { mm_hashes: [name] }),
      },
    }),
  };
}
