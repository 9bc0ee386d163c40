import { golden } from "@mm-router/testkit/golden";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import type { InstanceId } from "../ids.ts";
import { instanceKey } from "../names.ts";
import { decodeInstance, encodeInstance } from "./instance.ts";

interface Recorded {
  readonly version: string;
  readonly key: string;
  readonly value: string;
}
const recorded = golden<{ instances: Recorded[] }>("wire/discovery.json").instances;

describe("instance records", () => {
  it("of all releases and both planes decode, and encode to the same bytes", () => {
    expect(new Set(recorded.map(({ version }) => version)).size).toBe(7);
    for (const { key, value } of recorded) expect(encodeInstance(decodeInstance(key, value))).toBe(value);
  });

  it("round trip with any u64 id, IPv6 hosts and every optional member", () => {
    const name = fc.stringMatching(/^[a-z0-9_-]{1,8}$/);
    const transport = fc.oneof(
      fc.record({ kind: fc.constant("nats" as const), subject: fc.stringMatching(/^[a-z.]{1,20}$/) }),
      fc.record({
        kind: fc.constant("tcp" as const),
        host: fc.oneof(fc.ipV4(), fc.ipV6()),
        port: fc.integer({ min: 1, max: 65_535 }),
        path: fc.stringMatching(/^[a-z0-9/]{1,20}$/),
      }),
    );
    const instance = fc.record({
      address: fc.record({ namespace: name, component: name, endpoint: name }),
      instanceId: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }).map((id) => id as InstanceId),
      transport,
      codec: fc.constantFrom("json" as const, "msgpack" as const),
      deviceType: fc.constant("cuda"),
    });
    fc.assert(
      fc.property(instance, (value) => {
        expect(decodeInstance(instanceKey(value.address, value.instanceId), encodeInstance(value))).toEqual(value);
      }),
    );
  });

  it("take the id from the key, whatever the value says", () => {
    const { instanceId } = decodeInstance("v1/instances/ns/c/e/ffffffffffffffff", '{"instance_id":1,"transport":{"nats_tcp":"s"}}');
    expect(instanceId).toBe(18446744073709551615n);
  });

  it("read an unknown codec as JSON and ignore unknown members", () => {
    const instance = decodeInstance(
      "v1/instances/ns/c/e/1",
      '{"type":"Endpoint","new":{},"request_plane_codec":"cbor","device_type":null,"transport":{"nats_tcp":"s"}}',
    );
    expect(instance).toEqual({
      address: { namespace: "ns", component: "c", endpoint: "e" },
      instanceId: 1n,
      transport: { kind: "nats", subject: "s" },
    });
  });

  it.each([
    ["no transport", "{}"],
    ["an http transport", '{"transport":{"http":"http://192.0.2.2/x"}}'],
    ["a TCP transport without port", '{"transport":{"tcp":"192.0.2.2/1/generate"}}'],
    ["port 0", '{"transport":{"tcp":"192.0.2.2:0/1/generate"}}'],
    ["no path", '{"transport":{"tcp":"192.0.2.2:1"}}'],
    ["no JSON", "{"],
    ["no object", "[]"],
  ])("are refused with %s", (_what, value) => {
    expect(() => decodeInstance("v1/instances/ns/c/e/1", value)).toThrow(AppError);
  });

  it("give an AppError or an instance for 2 000 mutations of real records", () => {
    const mutation = fc.record({ record: fc.constantFrom(...recorded), at: fc.nat(300), cut: fc.nat(6), put: fc.string({ maxLength: 4 }) });
    fc.assert(
      fc.property(mutation, ({ record, at, cut, put }) => {
        try {
          decodeInstance(record.key, record.value.slice(0, at) + put + record.value.slice(at + cut));
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
