// The two interfaces behind which NATS and TCP are alike: send a request, take requests.
import type { EndpointAddress, InstanceId, Transport } from "@mm-router/protocol";

export type Headers = Readonly<Record<string, string>>;

/** Sends requests to instances of one kind of transport. */
export interface RequestSender<T extends Transport = Transport> {
  /**
   * Sends a request envelope.
   *
   * @returns when the instance has acknowledged it, which says that it arrived and nothing more
   * @throws AppError, one that `isNotTaken` knows, when nobody is there, the instance refuses, or no ack comes in time;
   *   `body_too_large` when the transport cannot carry it, `dependency_unreachable` when the server between is away
   */
  send(instance: { readonly instanceId: InstanceId; readonly transport: T }, envelope: Buffer, headers: Headers): Promise<void>;
}

/** Takes one request envelope; never throws, never rejects. The ack has been sent. */
export type RequestTaker = (envelope: Buffer, headers: Headers) => void;

/**
 * Answers one question at once, within 64 KiB; never throws.
 *
 * Ours alone: Dynamo answers every request on a stream. Saves a connection where question and answer are small, and goes over TCP
 * whatever plane the requests take: without the NATS server between, two processes less wake up for each question.
 */
export type Answerer = (question: Buffer) => Buffer;

/** Takes requests for the endpoints of this process. */
export interface RequestListener {
  /** Requests for `address` under this id go to `take` from the moment this resolves. */
  listen(address: EndpointAddress, instanceId: InstanceId, take: RequestTaker): Promise<Listening>;
  close(): Promise<void>;
}

/** Takes questions that are answered in their acknowledgement. */
export interface QuestionListener {
  /** Questions to `address` under this id go to `answerer` from the moment this resolves. */
  answer(address: EndpointAddress, instanceId: InstanceId, answerer: Answerer): Promise<Listening>;
}

export interface Listening {
  /** What the instance record says. */
  readonly transport: Transport;
  /** No request comes after it; callers that still try learn at once that nobody is there. */
  stop(): Promise<void>;
}
