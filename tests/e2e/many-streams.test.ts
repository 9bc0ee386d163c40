// Very many streams at once, each slow: all come whole, and the frontend's memory does not grow with time.
//
//   this process ─ a socket a stream ─► frontend ◄─ a socket a stream ─ fast worker (a token each second or more)
//
//   MMR_TEST_STREAMS=5000 MMR_TEST_STREAM_SECONDS=600 npm test -- --project e2e tests/e2e/many-streams.test.ts      the long form
//
// Among them clients that never read, that read a little each second, and that vanish without a word half way.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { freePort } from "@mm-router/cli/infra";
import { waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, expect, it } from "vitest";
import { residentMibOf } from "../../bench/support/process-cost.ts";
import { type BenchStack, benchStack, until } from "../../bench/support/stack.ts";

const streams = Number(process.env["MMR_TEST_STREAMS"] ?? 300);
const seconds = Number(process.env["MMR_TEST_STREAM_SECONDS"] ?? 6);
/** Between two tokens of a stream; all together get no more than a thousand a second, which leaves the machine to others. */
const tokenS = Math.ceil(streams / 1000);
const tokens = Math.floor(seconds / tokenS);
/** Of each odd kind one among fifty. */
const oddOnes = Math.ceil(streams / 50);
const model = "many";
/** What 5 000 streams may add between their first quarter and their last, beside what garbage collection leaves. */
const growthMibMax = 64;

const body = JSON.stringify({ model, stream: true, messages: [{ role: "user", content: "Hello" }] });
const head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
const piece = '"content":';
const request = `${head}content-length: ${body.length}\r\n\r\n${body}`;

/** A stream as a client that reads sees it. */
interface Reader {
  readonly socket: Socket;
  chunks: number;
  /** Told by the last bytes of a whole answer. */
  ended: boolean;
  /** The last bytes so far: what was being said, should the stream be lost. */
  tail: string;
}

await describeReal("very many streams", real.infra, () => {
  let stack: BenchStack;
  let port: number;
  let pid: number;

  beforeAll(async () => {
    stack = await benchStack("tcp", { MMR_CLIENT_STALL_SECS: "10" });
    port = await freePort();
    pid = stack.mmr("frontend", "--http-port", String(port), "--http-host", "127.0.0.1").pid!;
    await stack.script("fast-worker", "many", "worker", stack.modelFolder, model, tokens, tokenS * 1_000);
    await until("the model to be served", async () => (await (await fetch(`http://127.0.0.1:${port}/v1/models`)).text()).includes(model));
  });
  afterAll(() => stack?.[Symbol.asyncDispose]());

  it(`${streams} at once for ${seconds} s: none lost, the memory flat`, { timeout: (seconds * 3 + 240) * 1000 }, async () => {
    const readers: Reader[] = [];
    for (let opened = 0; opened < streams; opened++) {
      readers.push(await open());
      if (opened % 50 === 49) await once(readers.at(-1)!.socket, "data"); // no faster than they are taken
    }
    const odd = await Promise.all([...Array.from({ length: oddOnes }, neverReading), ...Array.from({ length: oddOnes }, slow)]);
    const vanishing = await Promise.all(Array.from({ length: oddOnes }, open));

    const openS = performance.now() / 1000;
    const memory: number[] = [];
    const sampling = setInterval(() => memory.push(Math.round(residentMibOf(pid))), Math.max(100, seconds * 25));
    await waitFor({ what: "half of the tokens", deadlineMs: seconds * 1000 + 60_000 }, () =>
      Promise.resolve(readers[0]!.chunks * 2 >= tokens || undefined),
    );
    for (const { socket } of vanishing) socket.resetAndDestroy();
    await waitFor({ what: "the streams to end", deadlineMs: (seconds + 180) * 1000 }, () =>
      Promise.resolve(readers.every(({ ended, socket }) => ended || socket.destroyed) || undefined),
    );
    clearInterval(sampling);
    const heldS = Math.round(performance.now() / 1000 - openS);

    const lost = readers.filter(({ ended, chunks }) => !ended || chunks < tokens);
    const quarter = Math.floor(memory.length / 4);
    const [first, last] = [Math.max(...memory.slice(0, quarter)), Math.max(...memory.slice(-quarter))];
    console.info(
      `${streams} streams of ${tokens} tokens, ended ${heldS} s after the last was open: ${lost.length} lost; MiB over time: ${memory.filter((_, at) => at % 4 === 0).join(" ")}`,
    );
    expect(lost.map(({ chunks, ended, tail }) => ({ chunks, ended, tail }))).toEqual([]);
    expect(last - first).toBeLessThan(growthMibMax);
    for (const { socket } of [...readers, ...odd]) socket.destroy();
    await until("all requests to be over", async () => (await inFlight()) === 0);
  });

  async function open(): Promise<Reader> {
    const reader: Reader = { socket: connect({ host: "127.0.0.1", port, noDelay: true }), chunks: 0, ended: false, tail: "" };
    const { socket } = reader;
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes: Buffer) => {
      const known = reader.tail.slice(1 - piece.length); // a piece may come in two parts
      reader.chunks += (known + bytes.toString("latin1")).split(piece).length - 1;
      reader.tail = (reader.tail + bytes.toString("latin1")).slice(-400);
      reader.ended = reader.tail.endsWith("0\r\n\r\n");
    });
    await once(socket, "connect");
    socket.write(request);
    return reader;
  }

  async function neverReading(): Promise<Reader> {
    const reader = await open();
    reader.socket.pause();
    return reader;
  }

  async function slow(): Promise<Reader> {
    const reader = await neverReading();
    const sipping = setInterval(() => reader.socket.read(16), 1_000);
    reader.socket.once("close", () => clearInterval(sipping));
    return reader;
  }

  async function inFlight(): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const values = [...text.matchAll(/^dynamo_frontend_inflight_requests\{[^}]*\} (\d+)/gm)].map(([, value]) => Number(value));
    return values.reduce((sum, value) => sum + value, 0);
  }
});
