// Events in the form in which a release's worker writes them: what a publisher of ours needs besides the events themselves.
import type { Dialect } from "../dialect.ts";
import type { WorkerKey } from "../ids.ts";
import type { U64 } from "../u64.ts";
import { encodeRouterEvent, encodeRouterEventList, type KvEventData, type RouterEvent, type StoredBlock } from "./router-event.ts";

/** The facts that decide the form. */
export type EventForm = Pick<Dialect, "eventPayload" | "eventHasMmInfo" | "eventHasStorageTier" | "eventHasResidencyDomain">;

/** An event with exactly the members that the release writes. Every field may be given; what the release does not know is left out. */
export function routerEventFor(form: EventForm, worker: WorkerKey, eventId: U64, data: KvEventData): RouterEvent {
  return {
    worker_id: worker.workerId,
    ...(form.eventHasStorageTier && { storage_tier: "device" }),
    ...(form.eventHasResidencyDomain && { residency_domain: "worker" }),
    event: { event_id: eventId, data: dataFor(form, data), dp_rank: worker.dpRank },
  };
}

/** Payloads for the envelope of NATS core and ZMQ: one per event (≤ 1.2), or one for all (≥ 1.4). */
export function encodeEventPayloads(form: EventForm, events: readonly RouterEvent[]): Uint8Array[] {
  if (form.eventPayload === "list") return [encodeRouterEventList(events)];
  return events.map((event) => encodeRouterEvent(event, "msgpack"));
}

function dataFor(form: EventForm, data: KvEventData): KvEventData {
  if (data === "cleared" || "removed" in data) return data;
  const { parent_hash, start_position = null, blocks } = data.stored;
  const formed = blocks.map((block) => blockFor(form, block));
  // Both came with 1.2.
  return { stored: form.eventHasStorageTier ? { parent_hash, start_position, blocks: formed } : { parent_hash, blocks: formed } };
}

function blockFor(form: EventForm, { block_hash, tokens_hash, mm_extra_info = null }: StoredBlock): StoredBlock {
  return form.eventHasMmInfo ? { block_hash, tokens_hash, mm_extra_info } : { block_hash, tokens_hash };
}
