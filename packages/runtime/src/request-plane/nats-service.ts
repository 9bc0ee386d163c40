// The NATS micro service that a Dynamo component is to operators: answers to $SRV.PING, $SRV.INFO and $SRV.STATS, with and
// without name and id. No caller needs it; `nats micro ls` shows who serves what.
//
//   service   {namespace}_{component}      endpoint   {namespace}_{component}-{endpoint}-{id hex}, queue group q
//
// Source: answers of workers 0.9.1 … 1.6.1 (service-and-status.json). Members in the order of the wire.
import { randomBytes } from "node:crypto";
import { type EndpointAddress, natsServiceNameOf, stringifyJson } from "@mm-router/protocol";
import type { NatsConnection, Subscription } from "@nats-io/transport-node";

/** Of every endpoint subscription: all releases use it. */
export const QUEUE_GROUP = "q";

/** An endpoint under one instance id. */
export interface ServiceEndpoint {
  readonly address: EndpointAddress;
  readonly subject: string;
  requests: number;
}

const verbs = ["PING", "INFO", "STATS"] as const;
type Verb = (typeof verbs)[number];

export class NatsService {
  readonly #connection: NatsConnection;
  readonly #version: string;
  readonly #id = randomBytes(16).toString("base64url").slice(0, 22);
  readonly #started = new Date().toISOString();
  readonly #endpoints = new Set<ServiceEndpoint>();
  readonly #subscriptions = new Map<string, Subscription[]>();

  constructor(connection: NatsConnection, version: string) {
    this.#connection = connection;
    this.#version = version;
  }

  add(address: EndpointAddress, subject: string): ServiceEndpoint {
    const endpoint = { address, subject, requests: 0 };
    this.#endpoints.add(endpoint);
    const name = natsServiceNameOf(address);
    if (!this.#subscriptions.has(name)) this.#subscriptions.set(name, this.#subscribe(name));
    return endpoint;
  }

  remove(endpoint: ServiceEndpoint): void {
    this.#endpoints.delete(endpoint);
    const name = natsServiceNameOf(endpoint.address);
    if (this.#endpointsOf(name).length > 0) return;
    for (const subscription of this.#subscriptions.get(name) ?? []) subscription.unsubscribe();
    this.#subscriptions.delete(name);
  }

  close(): void {
    for (const endpoint of this.#endpoints) this.remove(endpoint);
  }

  #subscribe(name: string): Subscription[] {
    return verbs.flatMap((verb) =>
      [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${this.#id}`].map((subject) =>
        this.#connection.subscribe(subject, { callback: (error, message) => void (error ?? message.respond(this.#answer(verb, name))) }),
      ),
    );
  }

  #answer(verb: Verb, name: string): string {
    const type = `io.nats.micro.v1.${verb.toLowerCase()}_response`;
    const head = { type, name, id: this.#id };
    const endpoints = this.#endpointsOf(name);
    if (verb === "PING") return stringifyJson({ ...head, version: this.#version, metadata: {} });
    if (verb === "INFO") {
      const description = descriptionOf(endpoints);
      return stringifyJson({ ...head, description, version: this.#version, metadata: {}, endpoints: endpoints.map(infoOf) });
    }
    return stringifyJson({ ...head, version: this.#version, started: this.#started, endpoints: endpoints.map(statsOf) });
  }

  #endpointsOf(name: string): ServiceEndpoint[] {
    return [...this.#endpoints].filter((endpoint) => natsServiceNameOf(endpoint.address) === name);
  }
}

function descriptionOf([endpoint]: readonly ServiceEndpoint[]): string {
  return `Dynamo component ${endpoint?.address.component} in namespace ${endpoint?.address.namespace}`;
}

function infoOf(endpoint: ServiceEndpoint): Record<string, unknown> {
  return { name: nameOf(endpoint), subject: endpoint.subject, queue_group: QUEUE_GROUP, metadata: {} };
}

function statsOf(endpoint: ServiceEndpoint): Record<string, unknown> {
  const times = { processing_time: 0, average_processing_time: 0 };
  const counts = { num_requests: endpoint.requests, num_errors: 0 };
  return { name: nameOf(endpoint), subject: endpoint.subject, ...counts, ...times, last_error: "", queue_group: QUEUE_GROUP };
}

/** The subject with the component's dot as a dash. */
function nameOf({ subject }: ServiceEndpoint): string {
  return subject.replace(".", "-");
}
