// The metrics of our running processes, asked of each over the request plane.
import { randomUUID } from "node:crypto";
import { AppError, decodeDataFrame, type EndpointAddress, type InstanceId } from "@mm-router/protocol";
import { z } from "zod";
import { withDeadline } from "../flow/index.ts";
import type { Runtime } from "../runtime.ts";
import { metricsEndpoint } from "../service/index.ts";
import { type Sample, samplesOf } from "./metrics-text.ts";

export interface ProcessMetrics {
  readonly instanceId: InstanceId;
  readonly samples: readonly Sample[];
}

/** A process that does not answer by then is left out. */
const deadlineMs = 3_000;
const answer = z.object({ text: z.string() });

/** Of every process that serves its metrics under a component, in the order of their ids. */
export async function processMetrics(
  runtime: Runtime,
  component: Pick<EndpointAddress, "namespace" | "component">,
): Promise<ProcessMetrics[]> {
  const client = runtime.endpoint({ ...component, endpoint: metricsEndpoint }).client();
  try {
    await client.ready();
    const ids = client.instances.list().map(({ instanceId }) => instanceId);
    const asked = await Promise.allSettled(
      ids.map((id) => withDeadline((signal) => samplesFrom(client, id, signal), deadlineMs, "metrics")),
    );
    return asked.flatMap((each, n) => (each.status === "fulfilled" ? [{ instanceId: ids[n]!, samples: each.value }] : []));
  } finally {
    client.close();
  }
}

type Client = ReturnType<ReturnType<Runtime["endpoint"]>["client"]>;

async function samplesFrom(client: Client, id: InstanceId, signal: AbortSignal): Promise<Sample[]> {
  let text: string | undefined;
  for await (const frames of await client.direct(id, { contextId: randomUUID(), body: Buffer.from("{}"), signal })) {
    for (const frame of frames) text ??= answer.parse(decodeDataFrame("json", frame).item?.data).text;
  }
  if (text === undefined) throw new AppError("protocol_error", "metrics ended without an item");
  return samplesOf(text);
}
