// The request plane alone, against Dynamo's own runtime: a real Python endpoint before our caller, our endpoint before a real
// Python caller, over both planes of each release. No model, no frontend: what breaks here is the transport.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { makeRunDirectory } from "@mm-router/cli/infra";
import { AppError, decodeDataFrame, errorOf, parseJson, stringifyJson } from "@mm-router/protocol";
import {
  type Call,
  type EndpointClient,
  type Handler,
  isNotTaken,
  type ResponseStream,
  type Runtime,
  StreamAborted,
} from "@mm-router/runtime";
import {
  type Place,
  projectRoot,
  type Release,
  type RequestPlane,
  releases,
  runPythonScript,
  type StartedProcess,
  startEtcd,
  startNats,
  startPython,
  waitFor,
} from "@mm-router/testkit";
import { describeRelease } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectTo } from "./harness/our-client.ts";

const script = join(projectRoot, "packages/testkit/python/dynamo_peer.py");
const planes: readonly RequestPlane[] = ["nats", "tcp"];

for (const release of releases) {
  await describeRelease(`request plane of Dynamo ${release}`, release, () => {
    describe.each(planes)("over %s", (plane) => peerSuite(release, plane));
  });
}

/** A line that dynamo_peer.py prints. */
interface Said {
  readonly served?: string;
  readonly left?: string;
  readonly item?: unknown;
  readonly end?: number;
  readonly exception?: string;
}

function peerSuite(release: Release, plane: RequestPlane): void {
  const started = new AsyncDisposableStack();
  let place: Place;
  let runtime: Runtime;

  beforeAll(async () => {
    const directory = makeRunDirectory(projectRoot);
    started.defer(() => rmSync(directory, { recursive: true, force: true }));
    mkdirSync(join(directory, "home"));
    const nats = started.use(await startNats());
    const etcd = started.use(await startEtcd());
    place = { natsUrl: nats.url, etcdUrl: etcd.url, namespace: "peers", requestPlane: plane, eventPlane: "nats", directory };
    runtime = await connectTo(place);
    started.defer(() => runtime.close());
  });
  afterAll(() => started.disposeAsync());

  describe("a real endpoint", () => {
    let peer: StartedProcess;
    let client: EndpointClient;
    const said: Said[] = [];

    beforeAll(async () => {
      const args = [script, "serve", "peers.theirs.generate"];
      peer = started.use(await startPython(place, { name: "dynamo_peer", release, args, onLine: (line) => said.push(...saidIn([line])) }));
      client = runtime.endpoint({ namespace: "peers", component: "theirs", endpoint: "generate" }).client();
      await waitFor({ what: "the real endpoint's record", child: peer.child }, async () => client.instances.list()[0]);
    });

    it("registers the instance id that it has itself", async () => {
      const { served } = await waitFor({ what: "the real endpoint to say its id", child: peer.child }, async () => said[0]);
      expect(client.instances.list().map(({ instanceId }) => `${instanceId}`)).toEqual([served]);
    });

    it("streams to us, under our context id, and ends", async () => {
      const call = callOf({ mode: "stream", n: 3 }, { contextId: "not-a-uuid" });
      expect(await dataOf(await client.roundRobin(call))).toEqual([0, 1, 2].map((index) => ({ index, id: "not-a-uuid" })));
    });

    it("gives integers of 64 bits back exactly, and an item of 3 MB whole", async () => {
      const body = { mode: "echo", u64: 18446744073709551615n, i64: -9223372036854775808n };
      expect(await dataOf(await client.roundRobin(callOf(body)))).toEqual([body]);
      const [large] = await dataOf(await client.roundRobin(callOf({ mode: "large", bytes: 3_000_000 })));
      expect((large as { pad: string }).pad).toHaveLength(3_000_000);
    });

    it("raises ValueError: a user's mistake with the worker's words, after its items", async () => {
      const frames = await framesOf(await client.roundRobin(callOf({ mode: "raise", after: 2 })));
      const items = frames.map((frame) => decodeDataFrame("json", frame).item!);
      expect(items.slice(0, 2).map(({ data }) => data)).toEqual([{ index: 0 }, { index: 1 }]);
      expect(errorOf(items[2]!)).toMatchObject({ code: "invalid_request", message: "ValueError: boom" });
      expect(items).toHaveLength(3);
    });

    it("stops when we leave", async () => {
      const leaving = new AbortController();
      const stream = await client.roundRobin(callOf({ mode: "slow" }, { contextId: "leaving", signal: leaving.signal }));
      const reading = framesOf(stream);
      leaving.abort();
      await expect(reading).rejects.toMatchObject({ code: "client_closed" });
      await waitFor({ what: "the endpoint to see that we left" }, async () => said.find(({ left }) => left === "leaving"));
    });

    it("that is killed is lost for us within two seconds, and not found by the next request", async () => {
      const stream = (await client.roundRobin(callOf({ mode: "slow" })))[Symbol.asyncIterator]();
      await stream.next();
      const killedAt = performance.now();
      await peer.kill();
      const readOn = async (): Promise<void> => {
        while (!(await stream.next()).done);
      };
      await expect(readOn()).rejects.toMatchObject({ code: "worker_lost" });
      expect(performance.now() - killedAt).toBeLessThan(2_000);
      const refusal = await client.roundRobin(callOf({ mode: "echo" })).catch((error: unknown) => error);
      expect(isNotTaken(refusal)).toBe(true);
    });
  });

  describe("a real caller of our endpoint", () => {
    const left: string[] = [];

    beforeAll(async () => {
      await runtime.endpoint({ namespace: "peers", component: "ours", endpoint: "generate" }).serve(ourAnswer(left));
    });

    /** What the real caller sees, and says. */
    const call = async (body: object, ...after: string[]): Promise<readonly Said[]> => {
      const args = ["call", "peers.ours.generate", JSON.stringify(body), ...(after.length > 0 ? ["--after", ...after] : [])];
      return saidIn(await runPythonScript(place, { release, script, args }));
    };

    it("gets our items and our end", async () => {
      const items = [0, 1].map((index) => ({ item: { index, id: "peer-0", big: 18446744073709551615n } }));
      expect(await call({ mode: "stream", n: 2 })).toEqual([...items, { end: 2 }]);
    });

    it("gets our error as an exception with our sentence, after our items", async () => {
      const [item, exception] = await call({ mode: "raise" });
      expect(item).toEqual({ item: { index: 0 } });
      expect(exception?.exception).toMatch(/: too many images$/);
    });

    it("sees a stream that we abort as broken, not as ended", async () => {
      const [item, exception] = await call({ mode: "abort" });
      expect(item).toEqual({ item: { index: 0 } });
      expect(exception?.exception).toMatch(/Stream ended before generation completed/);
    });

    it("reaches our handler when it stops, and when it drops its stream", async () => {
      for (const how of ["stop", "drop"]) {
        const before = left.length;
        expect((await call({ mode: "slow" }, "3", how)).at(-1)).toEqual({ end: 3 });
        await waitFor({ what: `the handler to hear of "${how}"` }, async () => left[before]);
        expect(left.slice(before)).toEqual(["client_closed"]);
      }
    });
  });
}

/** Answers the same modes as dynamo_peer.py; `left` gets the reason for which a caller left. */
function ourAnswer(left: string[]): Handler {
  return async ({ contextId, body, signal }, sink) => {
    const { mode, n = 1 } = parseJson(body) as { mode: string; n?: number };
    if (mode === "stream") {
      for (let index = 0; index < n; index++) await sink.item({ data: { index, id: contextId, big: 18446744073709551615n } });
      return;
    }
    for (let index = 0; !signal.aborted; index++) {
      await sink.item({ data: { index } });
      if (mode === "raise") throw new AppError("invalid_request", "too many images");
      if (mode === "abort") throw new StreamAborted("the worker behind died");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    left.push((signal.reason as AppError).code);
  };
}

/** The JSON lines among a process's lines. */
function saidIn(lines: readonly string[]): Said[] {
  return lines.filter((line) => line.startsWith("{")).map((line) => parseJson(line) as Said);
}

function callOf(body: unknown, changes: Partial<Call> = {}): Call {
  return { contextId: crypto.randomUUID(), body: Buffer.from(stringifyJson(body)), signal: AbortSignal.timeout(30_000), ...changes };
}

async function framesOf(stream: ResponseStream): Promise<Buffer[]> {
  const frames: Buffer[] = [];
  for await (const batch of stream) frames.push(...batch);
  return frames;
}

async function dataOf(stream: ResponseStream): Promise<unknown[]> {
  return (await framesOf(stream)).map((frame) => decodeDataFrame("json", frame).item?.data);
}
