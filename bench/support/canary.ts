// A client that reads one stream and does nothing else: the gaps between its tokens are those of the router, not of a busy bench.
//
//   bench ── {component, body} ──▶ canary ── one request ──▶ router          bench ◀── gaps in ms
//
// The bench forks this file; it runs as a module in the bench's own process only to be forked (startCanary).
import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connectTo } from "./connection.ts";
import { type BenchStack, until } from "./stack.ts";

interface Question {
  readonly namespace: string;
  readonly component: string;
  readonly body: string;
}

export interface Canary {
  /** Gaps between the tokens of one stream, ms. */
  gaps(question: Question): Promise<number[]>;
}

export function startCanary(stack: BenchStack): Canary {
  const child: ChildProcess = fork(import.meta.filename, { env: stack.environment });
  stack.own({ [Symbol.asyncDispose]: async () => void child.kill() });
  return {
    async gaps(question) {
      const answer = once(child, "message");
      child.send(question);
      return (await answer)[0] as number[];
    },
  };
}

async function serve(environment: NodeJS.ProcessEnv): Promise<void> {
  const runtime = await connectTo(environment);
  process.on("message", (question: Question) => void gapsOf(question).then((gaps) => process.send!(gaps)));

  async function gapsOf({ namespace, component, body }: Question): Promise<number[]> {
    const client = runtime.endpoint({ namespace, component, endpoint: "generate" }).client();
    await until("the router", () => client.instances.list().length === 1);
    const gaps: number[] = [];
    let last = performance.now();
    const call = { contextId: randomUUID(), body: Buffer.from(body), signal: new AbortController().signal };
    for await (const _batch of await client.roundRobin(call)) {
      const now = performance.now();
      gaps.push(now - last);
      last = now;
    }
    client.close();
    return gaps.slice(1);
  }
}

if (process.argv[1] === import.meta.filename) await serve(process.env);
