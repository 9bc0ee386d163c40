// A process that serves one endpoint, for tests that kill it: an endless stream, an item every 5 ms.
//
//   node serving-process.ts '{"nats":…,"etcd":…,"plane":…,"address":…}'
import type { EndpointAddress } from "@mm-router/protocol";
import { startRuntime } from "./test-runtime.ts";

interface Where {
  readonly nats: string;
  readonly etcd: string;
  readonly plane: "nats" | "tcp";
  readonly address: EndpointAddress;
}

const { nats, etcd, plane, address } = JSON.parse(process.argv[2]!) as Where;
const runtime = await startRuntime({ nats: { url: nats }, etcd: { url: etcd } }, { plane });
await runtime.endpoint(address).serve(async ({ signal }, sink) => {
  for (let index = 0; !signal.aborted; index++) {
    await sink.item({ data: index });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});
