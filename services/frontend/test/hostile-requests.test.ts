// The recorded requests, damaged: bytes, members, values, headers. Whatever comes, the answer is one of a server that stands:
// nothing hangs, nothing crashes, no 5xx (the workers never fail here, so each would be ours), the memory is flat.
//
//   MMR_TEST_FUZZED=10000 npm test -- --project integration services/frontend/test/hostile-requests.test.ts          the long form
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { RecordedRequest } from "./replay/http-client.ts";
import { recordedIds, recordedRequest } from "./replay/recorded-requests.ts";
import { Stack } from "./replay/stack.ts";
import { damaged, damagedHeaders, Dice } from "./support/damage.ts";
import { serveSteadily } from "./support/steady-worker.ts";

const fuzzed = Number(process.env["MMR_TEST_FUZZED"] ?? 600);
const atOnce = 16;
const heapGrowthMibMax = 24;
/** Not implemented is an answer. */
const allowed5xx = new Set([501]);

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

let stack: Stack;
let port: number;

beforeAll(async () => {
  stack = await Stack.start();
  const frontend = await stack.frontend(["--enable-anthropic-api", "--router-session-affinity-ttl-secs", "1"]);
  ({ port } = frontend);
  await serveSteadily(stack, frontend.url);
}, 300_000);
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
});

it(`${fuzzed} damaged requests: each is answered, none by a fault of ours, and the heap is what it was`, { timeout: 900_000 }, async () => {
  const recorded = recordedIds.map((id) => recordedRequest(id)!).filter(({ body = "" }) => body.length < 1_000_000);
  const dice = new Dice(7);
  const statuses = new Map<number, number>();
  const faults: unknown[] = [];
  const send = async (): Promise<void> => {
    const request = requestFrom(recorded, dice);
    const status = await statusOf(request);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status >= 500 && !allowed5xx.has(status)) faults.push({ status, request: request.toString("latin1").slice(0, 2_000) });
  };
  const sendMany = (count: number) =>
    Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (let sent = 0; sent < count / atOnce; sent++) await send();
      }),
    );

  await sendMany(fuzzed / 2); // caches fill
  const before = heapMib();
  await sendMany(fuzzed / 2);
  expect(faults).toEqual([]);
  expect(heapMib() - before).toBeLessThan(heapGrowthMibMax);
  expect(statuses.get(200)).toBeGreaterThan(fuzzed / 20); // some are still good: what answers is not a wall
  expect(statuses.get(400)).toBeGreaterThan(fuzzed / 20);
  if (fuzzed > 5_000)
    console.info(`answers by status: ${JSON.stringify(Object.fromEntries(statuses))}; heap ${before} MiB, then ${heapMib()} MiB`);
});

function requestFrom(recorded: readonly RecordedRequest[], dice: Dice): Buffer {
  const { method, path, headers, body } = dice.oneOf(recorded);
  const bytes = body === undefined ? Buffer.alloc(0) : damaged(body, () => dice.oneOf(recorded).body ?? "{}", dice);
  const lengths = body === undefined ? {} : { "content-length": `${bytes.length}` };
  const lines = Object.entries(damagedHeaders({ ...headers, ...lengths }, dice)).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines.join("")}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), bytes]);
}

/** Status of the answer, read to its end; 0 where the connection ends without one, which only broken HTTP may cause. */
function statusOf(request: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let head = "";
    const socket = connect({ port, host: "127.0.0.1" });
    const hanging = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end of the answer to ${request.toString("latin1").slice(0, 2_000)}`));
    }, 60_000);
    socket.setTimeout(5_000, () => socket.end()); // a body that stays away is given up
    socket.on("data", (bytes) => {
      if (head.length < 16) head += bytes.toString("latin1", 0, 16);
    });
    socket.on("error", () => {}); // told by the close
    socket.on("close", () => {
      clearTimeout(hanging);
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0));
    });
    socket.write(request);
  });
}

function heapMib(): number {
  gc();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
}
