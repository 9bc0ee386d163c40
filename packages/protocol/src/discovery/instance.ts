// Instance records: who serves an endpoint, and where requests go.
//
//   key    v1/instances/{namespace}/{component}/{endpoint}/{id}
//   value  {"type":"Endpoint","component","endpoint","namespace","instance_id":u64,
//           "transport":{"nats_tcp":SUBJECT} | {"tcp":"IP:PORT/PATH"},["device_type":"cuda",]["request_plane_codec":"msgpack"]}
//
// Source: etcd contents under running processes of 0.7.1 … 1.6.1 (golden/wire/discovery.json).
// I1  Address and id come from the key: the key is what a later delete names.
// I2  The transport is opaque. What follows the first "/" of a TCP transport is never built from parts by a caller.
import { z } from "zod";
import { AppError } from "../errors.ts";
import type { InstanceId } from "../ids.ts";
import { parseJson, stringifyJson } from "../json.ts";
import { type EndpointAddress, parseInstanceKey } from "../names.ts";
import { decodeAs } from "../schema.ts";

export type Transport =
  | { readonly kind: "nats"; readonly subject: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly path: string };

export interface Instance {
  readonly address: EndpointAddress;
  readonly instanceId: InstanceId;
  readonly transport: Transport;
  /** Codec of request bodies that the instance asks for (≥ 1.4); absent = JSON. */
  readonly codec?: "json" | "msgpack";
  readonly deviceType?: string;
}

const record = z.looseObject({
  transport: z.looseObject({ nats_tcp: z.string().min(1).optional(), tcp: z.string().optional() }),
  device_type: z.string().nullish(),
  request_plane_codec: z.enum(["json", "msgpack"]).nullish().catch(undefined), // a codec of the future: JSON is always understood
});

/**
 * Decodes an instance record.
 *
 * @throws AppError `protocol_error`; also for `{"http": …}` (≤ 1.0 without NATS), a plane that is not ours
 */
export function decodeInstance(key: string, value: string): Instance {
  const named = parseInstanceKey(key);
  if (named === undefined) throw new AppError("protocol_error", `${key} is not the key of an instance`);
  const { transport, device_type, request_plane_codec } = decodeAs(record, parseJson(value), `instance ${key}`);
  return {
    ...named,
    transport: transportOf(transport, key),
    ...(request_plane_codec ? { codec: request_plane_codec } : {}),
    ...(device_type ? { deviceType: device_type } : {}),
  };
}

/** The record as a real worker writes it, members in the order of the wire. */
export function encodeInstance(instance: Instance): string {
  const { address, transport } = instance;
  return stringifyJson({
    type: "Endpoint",
    component: address.component,
    endpoint: address.endpoint,
    namespace: address.namespace,
    instance_id: instance.instanceId,
    transport:
      transport.kind === "nats"
        ? { nats_tcp: transport.subject }
        : { tcp: `${bracketed(transport.host)}:${transport.port}/${transport.path}` },
    device_type: instance.deviceType,
    request_plane_codec: instance.codec,
  });
}

function transportOf(transport: { nats_tcp?: string | undefined; tcp?: string | undefined }, key: string): Transport {
  if (transport.nats_tcp !== undefined) return { kind: "nats", subject: transport.nats_tcp };
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/]+)):(\d{1,5})\/(.+)$/.exec(transport.tcp ?? "");
  const port = Number(match?.[3]);
  if (match === null || port === 0 || port > 65_535) throw new AppError("protocol_error", `instance ${key} has no NATS or TCP transport`);
  return { kind: "tcp", host: (match[1] ?? match[2])!, port, path: match[4]! };
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
