// A nats-server of a test file's own, and a connection as a process of ours has it.
import { createLogger, SharedNats } from "@mm-router/runtime";
import { type NatsServer, startNats } from "@mm-router/testkit/infra";
import type { NatsConnection } from "@nats-io/transport-node";

export const log = createLogger({ service: "test", level: "error", destination: () => {} });

export interface NatsCell {
  readonly server: NatsServer;
  readonly shared: SharedNats;
  readonly nats: NatsConnection;
}

export async function startNatsCell(): Promise<NatsCell> {
  await using started = new AsyncDisposableStack();
  const server = await startNats();
  started.defer(() => server.stop());
  const shared = new SharedNats({ servers: server.url }, { name: "test", deadlineMs: 10_000 }, log);
  started.defer(() => shared.close());
  const nats = await shared.connection();
  started.move();
  return { server, shared, nats };
}

export async function stopNatsCell(cell: NatsCell | undefined): Promise<void> {
  await cell?.shared.close();
  await cell?.server.stop();
}
