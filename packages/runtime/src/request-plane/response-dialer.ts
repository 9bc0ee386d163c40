// The worker's end of a response stream: it calls home and answers.
//
//   dial ▶ connect ▶ handshake ▶ prologue ▶ items … ▶ complete_final, sentinel ▶ wait for the caller's FIN
//                              ◀ stop, kill, FIN, RST: the caller has left; the signal aborts, what is queued is dropped
//
// What is written before the connection stands leaves with it: the handler may begin at once.
// I1  after the caller has left, and after the end, writing does nothing and never rejects.
// I2  after the end, `closeTimeoutMs` of silence end the connection.
// Source: what workers ≥ 1.2 do (endpoint-*.json). They go on when they see a FIN alone; ours takes it as kill, since all
// real callers send both.
import type { Socket } from "node:net";
import {
  type Annotated,
  AppError,
  type BodyCodec,
  type CallHome,
  decodeCallerControl,
  decodeDataFrame,
  encodeDataFrames,
  encodeFinal,
  encodeHandshake,
  encodeItem,
  encodePrologue,
  sentinelFrame,
  TwoPartDecoder,
} from "@mm-router/protocol";
import type { IncomingRequest, ResponseSink } from "./handler.ts";
import type { RequestPlaneConfig } from "./request-plane-config.ts";
import { parseSocketAddress } from "./socket-address.ts";
import { openSocket, writable } from "./tcp-socket.ts";

/** Callers send nothing but stop and kill. */
const controlLimits = { frameBytesMax: 1024 };

const takenPrologue = encodePrologue(null);
const endingOf = (codec: BodyCodec): Buffer => Buffer.concat([encodeDataFrames([encodeFinal(codec)]), sentinelFrame]);
const jsonEnding = endingOf("json");

/** For what is queued to leave when a stream is given up. */
const ABORT_CLOSE_MS = 1_000;

export class AnswerStream implements ResponseSink {
  /** Aborts when the caller has left, or by `abort`. */
  readonly signal: AbortSignal;
  readonly reached: IncomingRequest["reached"];
  /** Resolves when the connection is gone. */
  readonly gone: Promise<void>;

  readonly #socket: Socket;
  readonly #handshake: Buffer;
  readonly #codec: BodyCodec;
  readonly #closeTimeoutMs: number;
  readonly #abort = new AbortController();
  readonly #reach = Promise.withResolvers<void>();
  #isReached = false;
  #over = false;
  #draining: Promise<void> | undefined;

  /**
   * Calls a caller; the connection stands a little later (`reached`). The prologue is still to be sent.
   *
   * @throws AppError `protocol_error` when the address is none
   */
  constructor(callHome: CallHome, codec: BodyCodec, config: RequestPlaneConfig) {
    const socket = openSocket(parseSocketAddress(callHome.address), config.connectTimeoutMs);
    this.#socket = socket;
    this.#handshake = encodeHandshake(callHome.subject);
    this.#codec = codec;
    this.#closeTimeoutMs = config.closeTimeoutMs;
    this.signal = this.#abort.signal;
    this.reached = this.#reach.promise;
    this.reached.catch(() => {}); // the signal tells the same
    socket.once("connect", () => {
      this.#isReached = true;
      this.#reach.resolve();
    });
    const gone = Promise.withResolvers<void>();
    this.gone = gone.promise;
    const controls = new TwoPartDecoder(controlLimits);
    socket.on("data", (chunk) => this.#listen(controls, chunk));
    socket.on("end", () => this.#callerLeft("closed the connection"));
    socket.on("error", (error) => this.#callerLeft("broke the connection", error));
    socket.on("close", () => {
      this.#callerLeft("closed the connection");
      gone.resolve();
    });
  }

  /** The request is taken. */
  accept(): void {
    this.#introduce(takenPrologue);
  }

  /** The request is not taken; ends the stream. Real callers ≥ 1.2 set the instance aside for seconds when they see this. */
  refuse(reason: string): void {
    this.#introduce(encodePrologue(reason));
    this.#end(this.#closeTimeoutMs);
  }

  async item(item: Annotated): Promise<void> {
    await this.#write([encodeItem(this.#codec, item)]);
  }

  async frames(bodies: readonly Uint8Array[]): Promise<void> {
    await this.#write(this.#codec === "json" ? bodies : bodies.map((body) => this.#transcoded(body)));
  }

  /** Ends the stream normally and lets the caller close first. */
  complete(): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.write(this.#codec === "json" ? jsonEnding : endingOf(this.#codec));
    this.#dropAfter(this.#closeTimeoutMs);
  }

  /** Ends the stream without complete_final: for the caller it is lost. Aborts the signal with `reason`. */
  abort(reason: AppError): void {
    if (this.#over) return this.#dropAfter(ABORT_CLOSE_MS); // it only waits for the caller to close
    this.#end(ABORT_CLOSE_MS);
    this.#abort.abort(reason);
  }

  #write(bodies: readonly Uint8Array[]): Promise<void> | undefined {
    if (this.#over) return undefined;
    this.#holdUntilTickEnds();
    this.#socket.write(encodeDataFrames(bodies));
    this.#draining ??= writable(this.#socket)?.finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  /** Handshake and prologue in one packet. */
  #introduce(prologue: Buffer): void {
    this.#socket.write(Buffer.concat([this.#handshake, prologue]));
  }

  /** What follows at once leaves in the same packet: mostly the last items and the end. */
  #holdUntilTickEnds(): void {
    const socket = this.#socket;
    if (socket.writableCorked > 0) return;
    socket.cork();
    process.nextTick(() => socket.uncork());
  }

  /** Frames of a relayed stream are JSON; a caller that sent msgpack is answered in msgpack. */
  #transcoded(body: Uint8Array): Buffer {
    return encodeItem(this.#codec, decodeDataFrame("json", body).item ?? {});
  }

  #end(closeTimeoutMs: number): void {
    this.#over = true;
    this.#socket.end();
    this.#dropAfter(closeTimeoutMs);
  }

  #dropAfter(silenceMs: number): void {
    this.#socket.setTimeout(silenceMs, () => this.#socket.destroy());
  }

  #listen(controls: TwoPartDecoder, chunk: Buffer): void {
    try {
      for (const { header } of controls.push(chunk)) this.#callerLeft(`said ${decodeCallerControl(header)}`);
    } catch (error) {
      this.#callerLeft("sent what is no control frame", error);
    }
  }

  #callerLeft(how: string, cause?: unknown): void {
    if (!this.#over || !this.#isReached) {
      const reason = new AppError("client_closed", `the caller ${this.#isReached ? how : "cannot be reached"}`, { cause });
      this.#over = true;
      this.#reach.reject(reason);
      this.#abort.abort(reason);
    }
    this.#socket.destroy();
  }
}
