import { golden } from "@mm-router/testkit/golden";
import { describe, expect, it } from "vitest";
import { AppError } from "../errors.ts";
import { type EventTopic, eventChannelKey, eventSourceKey } from "../names.ts";
import { decodeEventChannel, decodeEventSource, encodeEventChannel, encodeEventSource } from "./event-channel.ts";

const { runs } = golden<{ runs: { release: string; etcd_records: Record<string, string> }[] }>("kv/events-wire.json");
const records = runs.flatMap((run) => Object.entries(run.etcd_records));

describe("records of real publishers", () => {
  it("decodes every event channel, encodes it to the same text and knows its key", () => {
    const channels = records.filter(([key]) => key.startsWith("v1/event_channels/"));
    const wrong = channels.filter(([key, value]) => {
      const channel = decodeEventChannel(value);
      const named = eventChannelKey(channel.naming, channel.scope, channel.topic as EventTopic, channel.id);
      return encodeEventChannel(channel) !== value || named !== key;
    });
    expect(wrong).toEqual([]);
    expect(channels.length).toBe(34);
  });

  it("decodes every event source, encodes it to the same text and knows its key", () => {
    const sources = records.filter(([key]) => key.startsWith("v1/event_sources/"));
    const wrong = sources.filter(([key, value]) => {
      const source = decodeEventSource(value);
      return encodeEventSource(source) !== value || eventSourceKey(source.scope, source.topic as EventTopic, source.publisherId) !== key;
    });
    expect(wrong).toEqual([]);
    expect(sources.length).toBe(28);
  });
});

it.each([
  "[]",
  "{}",
  '{"namespace":"n","component":"c","topic":"t","instance_id":1,"transport":{"kind":"Carrier","config":{}}}',
  '{"scope":{"kind":"namespace"},"topic":"t","instance_id":1,"transport":{"kind":"Nats","config":{"subject_prefix":"p"}}}',
  '{"namespace":"n","component":"c","topic":"t","instance_id":-1,"transport":{"kind":"Nats","config":{"subject_prefix":"p"}}}',
])("refuses %s with a protocol error", (value) => {
  expect(() => decodeEventChannel(value)).toThrow(AppError);
  expect(() => decodeEventSource(value)).toThrow(AppError);
});
