import { startEtcd, startNats, type EtcdServer, type NatsServer } from "@mm-router/testkit/infra";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callOf, dataOf, freshAddress, startRuntime } from "./test-runtime.ts";

let nats: NatsServer;
let etcd: EtcdServer;

beforeAll(async () => {
  [nats, etcd] = await Promise.all([startNats(), startEtcd()]);
});

afterAll(async () => {
  await Promise.all([nats?.stop(), etcd?.stop()]);
});

describe.each(["nats", "tcp"] as const)("request plane over %s", (plane) => {
  it("streams the handler's items in order and ends", async () => {
    await using runtime = await startRuntime({ nats, etcd }, { plane });
    const endpoint = runtime.endpoint(freshAddress());
    await endpoint.serve(async (request, sink) => {
      expect(JSON.parse(request.body.toString())).toEqual({ n: 3 });
      for (let index = 0; index < 3; index++) await sink.item({ data: { index, big: 18446744073709551615n } });
    });
    const client = endpoint.client();
    await client.ready();
    const stream = await client.roundRobin(callOf({ n: 3 }));
    expect(await dataOf(stream)).toEqual([0, 1, 2].map((index) => ({ index, big: 18446744073709551615n })));
  });
});
