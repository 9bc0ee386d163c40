// Asks the mm-routers what they remember of requests: each has its own, and one of them had the request.
import { randomUUID } from "node:crypto";
import {
  type DecisionRecord,
  type DecisionsQuestion,
  decodeDataFrame,
  decodeDecisions,
  type EndpointAddress,
  type InstanceId,
  stringifyJson,
} from "@mm-router/protocol";
import { type EndpointClient, type Runtime, withDeadline } from "@mm-router/runtime";
import type { FoundDecision } from "./found-decision.ts";

/** A router that does not answer by then is left out. */
const deadlineMs = 2_000;
const latestMax = 50;

export class DecisionLookup {
  readonly #runtime: Pick<Runtime, "endpoint">;
  readonly #components: () => readonly EndpointAddress[];

  /** @param components those that serve `mmr_decisions` */
  constructor(runtime: Pick<Runtime, "endpoint">, components: () => readonly EndpointAddress[]) {
    this.#runtime = runtime;
    this.#components = components;
  }

  async byRequest(request_id: string): Promise<FoundDecision | undefined> {
    const [newest] = await this.#ask({ request_id });
    return newest;
  }

  /** Of all routers, newest first. */
  async latest(count: number): Promise<FoundDecision[]> {
    const latest = Math.min(count, latestMax);
    return (await this.#ask({ latest })).slice(0, latest);
  }

  async #ask(question: DecisionsQuestion): Promise<FoundDecision[]> {
    const found = await Promise.all(this.#components().map((address) => this.#askComponent(address, question)));
    return found.flat().sort((a, b) => b.received_at - a.received_at);
  }

  async #askComponent(address: EndpointAddress, question: DecisionsQuestion): Promise<FoundDecision[]> {
    const client = this.#runtime.endpoint(address).client();
    try {
      await withDeadline(client.ready(), deadlineMs, "the list of mm-routers");
      const ids = client.instances.list().map(({ instanceId }) => instanceId);
      const answers = await Promise.allSettled(
        ids.map((id) => withDeadline((signal) => answerOf(client, id, question, signal), deadlineMs, "decisions")),
      );
      return answers.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
    } finally {
      client.close();
    }
  }
}

async function answerOf(
  client: EndpointClient,
  id: InstanceId,
  question: DecisionsQuestion,
  signal: AbortSignal,
): Promise<FoundDecision[]> {
  let decisions: readonly DecisionRecord[] = [];
  const body = Buffer.from(stringifyJson(question));
  for await (const frames of await client.direct(id, { contextId: randomUUID(), body, signal })) {
    for (const frame of frames) {
      const data = decodeDataFrame("json", frame).item?.data;
      if (data !== undefined) decisions = decodeDecisions(data);
    }
  }
  return decisions.map((decision) => ({ ...decision, router_id: `${id}` }));
}
