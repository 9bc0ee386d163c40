// One call of one instance, on whichever plane it serves.
//
//   expect a stream ▶ send the envelope ▶ ack ─────────┐ ackTimeoutMs
//                                    worker calls home ▶ prologue │ prologueTimeoutMs from the ack
//
// The ack may come after the stream has opened: the prologue is what counts.
// Bodies are always JSON and no payload_codec is written: every release takes that, while a worker ≤ 1.2 given msgpack stays
// silent for ever.
import { AppError, encodeRequestEnvelope, type Instance, toAppError } from "@mm-router/protocol";
import { type Call, notTaken, type ResponseStream } from "./call.ts";
import type { NatsRequestClient } from "./nats-client.ts";
import type { RequestPlaneConfig } from "./request-plane-config.ts";
import type { Headers } from "./request-transport.ts";
import type { ResponseServer } from "./response-server.ts";
import type { StreamState } from "./stream-state.ts";
import type { TcpRequestClient } from "./tcp-client.ts";

export interface RequestClientDeps {
  readonly responses: ResponseServer;
  readonly nats: NatsRequestClient;
  readonly tcp: TcpRequestClient;
}

export class RequestClient {
  readonly #config: RequestPlaneConfig;
  readonly #deps: RequestClientDeps;

  constructor(config: RequestPlaneConfig, deps: RequestClientDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /**
   * Calls the instance.
   *
   * @param onOver told once how the stream ended, also when it never opened
   * @returns the stream, after its null prologue
   * @throws AppError `client_closed` when the signal aborts; others recognised by `isNotTaken` when another instance may have the request
   */
  async call(instance: Instance, call: Call, onOver: (state: StreamState) => void = () => {}): Promise<ResponseStream> {
    if (call.signal.aborted) throw new AppError("client_closed", "the request was cancelled", { cause: call.signal.reason });
    const cancel = () => stream.cancel(call.signal.reason);
    const { subject, stream } = this.#deps.responses.expect(instance.instanceId, (state) => {
      call.signal.removeEventListener("abort", cancel);
      onOver(state);
    });
    call.signal.addEventListener("abort", cancel, { once: true });
    const callHome = { address: this.#deps.responses.address, subject };
    const control = { contextId: call.contextId, callHome, ...(call.metadata && { metadata: call.metadata }) };
    this.#send(instance, encodeRequestEnvelope(control, call.body), { "request-id": call.contextId, ...call.headers }).then(
      () => stream.expectPrologue(this.#config.prologueTimeoutMs),
      (error: unknown) => stream.failed(toAppError(error)),
    );
    await stream.opened;
    return stream;
  }

  /**
   * Asks an instance that answers in its acknowledgement.
   *
   * @throws AppError recognised by `isNotTaken` when another instance may be asked
   */
  async ask({ instanceId, transport }: Instance, question: Buffer): Promise<Buffer> {
    if (transport.kind !== "tcp") throw notTaken("worker_lost", "questions are taken over TCP alone", { instanceId });
    return this.#deps.tcp.ask({ instanceId, transport }, question);
  }

  #send(instance: Instance, envelope: Buffer, headers: Headers): Promise<void> {
    const { instanceId, transport } = instance;
    if (transport.kind === "nats") return this.#deps.nats.send({ instanceId, transport }, envelope, headers);
    return this.#deps.tcp.send({ instanceId, transport }, envelope, headers);
  }
}
