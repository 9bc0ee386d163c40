import { stringifyJson } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { contextIdOf, requestHints, routingOf } from "./request-hints.ts";

const options = { metadataPrefix: "x-dynamo-meta-", nvext: true };

describe("hints of a request", () => {
  it("take a UUID as context id and nothing else", () => {
    const uuid = "ABCDEF11-2222-4333-8444-555555555555";
    expect(contextIdOf({ "x-dynamo-request-id": uuid })).toBe(uuid);
    expect(contextIdOf({ "x-dynamo-request-id": "abc" })).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("let headers win over nvext and the body", () => {
    const headers = { "x-tenant-id": "t", "x-dynamo-request-priority": "3", "x-dynamo-worker-instance-id": "18446744073709551615" };
    const members = { cache_salt: "s", nvext: { cache_salt: "n", agent_hints: { priority: 5 }, backend_instance_id: 1 } };
    const hints = requestHints(headers, members, options);
    expect(stringifyJson(routingOf(hints, undefined))).toBe(
      '{"backend_instance_id":18446744073709551615,"decode_worker_id":18446744073709551615,"priority_jump":3.0,"priority":3,"cache_salt":"t"}',
    );
  });

  it("come with the adapter that the model is", () => {
    expect(stringifyJson(routingOf(requestHints({}, {}, options), "poet"))).toBe('{"lora_name":"poet"}');
  });

  it("ignore what is no number", () => {
    const hints = requestHints({ "x-worker-instance-id": "abc", "x-dp-rank": "1.5", "x-dynamo-request-priority": "high" }, {}, options);
    expect([hints.instanceId, hints.dpRank, hints.priority]).toEqual([undefined, undefined, undefined]);
  });

  it("without nvext keep the tenant and drop the rest", () => {
    const hints = requestHints(
      { "x-tenant-id": "t", "x-dynamo-request-priority": "3" },
      { nvext: { dp_rank: 1 } },
      { ...options, nvext: false },
    );
    expect([hints.cacheSalt, hints.priority, hints.dpRank]).toEqual(["t", undefined, undefined]);
  });

  it("never pass an authorization on as metadata", () => {
    expect(requestHints({ "x-dynamo-meta-a": "1", "x-dynamo-meta-authorization": "Bearer q" }, {}, options).metadata).toEqual({ a: "1" });
  });

  it("are refused with 431 beyond 64 metadata headers", () => {
    const headers = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`x-dynamo-meta-${n}`, "v"]));
    expect(() => requestHints(headers, {}, options)).toThrow(expect.objectContaining({ status: 431 }));
  });
});
