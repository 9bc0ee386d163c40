// What our log of a component's events holds, asked of the server itself.
import { captureStreamName, type Runtime } from "@mm-router/runtime";
import type { Place } from "@mm-router/testkit";

export interface LogView {
  readonly messages: number;
  /** `Nats-Msg-Id` of every message that has one. */
  readonly messageIds: readonly string[];
}

export async function logOf(runtime: Runtime, { namespace }: Place, component: string): Promise<LogView> {
  const nats = await runtime.nats();
  const stream = captureStreamName({ namespace, component });
  const ask = async (verb: string, body = {}): Promise<any> =>
    (await nats.request(`$JS.API.STREAM.${verb}.${stream}`, JSON.stringify(body))).json();
  const { state } = await ask("INFO");
  const messageIds: string[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const { message } = await ask("MSG.GET", { seq });
    const id = /^Nats-Msg-Id: *(.*)\r$/m.exec(Buffer.from(message.hdrs ?? "", "base64").toString())?.[1];
    if (id !== undefined) messageIds.push(id);
  }
  return { messages: state.messages, messageIds };
}
