// The caller's end of one response stream: frames of a socket in, batches of item bodies out.
//
//   socket ─ frames ─▶ state machine ─ items ─▶ queue ─ batches ─▶ reader
//     ◀───────── pause while the queue is full ◀──┘
//
// A batch is all that has come since the last one: a relay then costs one wake-up and one write per socket chunk, not per
// token. Item bodies are slices of the chunks; nothing is parsed.
import type { Socket } from "node:net";
import {
  AppError,
  decodeDataFrame,
  encodeItem,
  type InstanceId,
  isSentinel,
  killFrame,
  toAppError,
  type TwoPartFrame,
} from "@mm-router/protocol";
import { notTaken, type ResponseStream } from "./call.ts";
import { isOver, nextState, readFrame, type StreamEvent, type StreamState } from "./stream-state.ts";

export interface ReceivedStreamOptions {
  readonly instanceId: InstanceId;
  readonly readAheadBytes: number;
  /** Longest silence once the stream is open, 0 = none. */
  readonly idleTimeoutMs: number;
  /** How long a connection may stay after its stream is over. */
  readonly closeTimeoutMs: number;
  /** Called once, when the stream has reached a final state. */
  readonly onOver: (state: StreamState) => void;
}

export class ReceivedStream implements ResponseStream {
  readonly instanceId: InstanceId;
  /** Resolves at the null prologue; rejects when the request was not taken or was cancelled before. */
  readonly opened: Promise<void>;

  readonly #options: ReceivedStreamOptions;
  readonly #opening = Promise.withResolvers<void>();
  #state: StreamState = { kind: "registered" };
  #socket: Socket | undefined;
  #prologueTimer: NodeJS.Timeout | undefined;
  #items: Buffer[] = [];
  #itemBytes = 0;
  #waiting: PromiseWithResolvers<IteratorResult<readonly Buffer[]>> | undefined;

  constructor(options: ReceivedStreamOptions) {
    this.#options = options;
    this.instanceId = options.instanceId;
    this.opened = this.#opening.promise;
    this.opened.catch(() => {}); // who calls waits for it; a stream that is given up before has nobody to tell
  }

  /** The worker has called home on `socket`; its frames follow through `receive`. */
  connected(socket: Socket): void {
    this.#socket = socket;
    this.#apply({ kind: "handshake" });
  }

  /** From now on the worker has this long until its prologue. */
  expectPrologue(timeoutMs: number): void {
    if (this.#state.kind === "open" || isOver(this.#state)) return;
    this.#prologueTimer = setTimeout(() => {
      const reason = `the worker took the request but opened no stream within ${timeoutMs} ms`;
      this.failed(notTaken("deadline_exceeded", reason, { instanceId: this.instanceId }));
    }, timeoutMs);
  }

  /** Frames after the handshake, in order. */
  receive(frames: readonly TwoPartFrame[]): void {
    for (const frame of frames) {
      if (isOver(this.#state)) this.#answerSentinel(frame);
      else this.#receiveOne(frame);
    }
    this.#deliver();
    this.#holdBackOrGoOn();
  }

  /** The connection has ended, or could not be read on. */
  closed(cause?: unknown): void {
    this.#apply({ kind: "closed", cause });
  }

  /** The request was not acknowledged, took too long, or its answer cannot be read. */
  failed(error: AppError): void {
    this.#apply({ kind: "failed", error });
  }

  cancel(cause?: unknown): void {
    this.#apply({ kind: "cancel", cause });
  }

  [Symbol.asyncIterator](): AsyncIterator<readonly Buffer[]> {
    return {
      next: () => this.#next(),
      return: () => {
        this.cancel();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #receiveOne(frame: TwoPartFrame): void {
    try {
      const event = readFrame(this.#state, frame);
      if (event.kind === "item") this.#queue(frame.body);
      else if (event.kind === "final") this.#queueLastItem(frame.body);
      if (event.kind !== "item") this.#apply(event);
    } catch (error) {
      this.failed(toAppError(error));
    }
  }

  #answerSentinel(frame: TwoPartFrame): void {
    if (this.#state.kind === "ended" && isSentinel(frame.header)) this.#socket?.end();
  }

  #queue(body: Buffer): void {
    this.#items.push(body);
    this.#itemBytes += body.length;
  }

  /** No release puts an item into the final frame, but all readers would take it. */
  #queueLastItem(body: Buffer): void {
    const { item } = decodeDataFrame("json", body);
    if (item) this.#queue(encodeItem("json", item));
  }

  #apply(event: StreamEvent): void {
    const before = this.#state;
    this.#state = nextState(before, event, this.instanceId);
    if (this.#state === before) return;
    if (this.#state.kind === "open") this.#open();
    else if (isOver(this.#state)) this.#finish();
  }

  #open(): void {
    clearTimeout(this.#prologueTimer);
    this.#opening.resolve();
    this.#watchSilence();
  }

  #finish(): void {
    clearTimeout(this.#prologueTimer);
    if (this.#state.kind !== "ended") this.#opening.reject(errorOfState(this.#state));
    if (this.#state.kind === "cancelled") this.#items = [];
    this.#releaseSocket();
    this.#deliver();
    this.#options.onOver(this.#state);
  }

  /** An ended stream waits for its sentinel; any other is killed at once: workers ≤ 1.0 keep the connection until we end it. */
  #releaseSocket(): void {
    const socket = this.#socket;
    if (!socket || socket.destroyed) return;
    if (this.#state.kind !== "ended" && socket.writable) socket.end(killFrame);
    socket.setTimeout(this.#options.closeTimeoutMs, () => socket.destroy());
    socket.resume(); // what still comes is thrown away, and its end is seen
  }

  #watchSilence(): void {
    const { idleTimeoutMs } = this.#options;
    const socket = this.#socket;
    if (idleTimeoutMs === 0 || !socket) return;
    socket.setTimeout(idleTimeoutMs, () => {
      if (socket.isPaused()) return; // it is our reader that is slow
      this.failed(
        new AppError("deadline_exceeded", `the worker said nothing for ${idleTimeoutMs} ms`, { details: { instance_id: this.instanceId } }),
      );
    });
  }

  #holdBackOrGoOn(): void {
    if (isOver(this.#state)) return;
    const full = this.#itemBytes > this.#options.readAheadBytes;
    if (full) this.#socket?.pause();
    else if (this.#socket?.isPaused()) this.#socket.resume();
  }

  #next(): Promise<IteratorResult<readonly Buffer[]>> {
    const waiting = Promise.withResolvers<IteratorResult<readonly Buffer[]>>();
    this.#waiting = waiting;
    this.#deliver();
    this.#holdBackOrGoOn();
    return waiting.promise;
  }

  /** Answers the waiting reader: with what is queued, else with how the stream ended, else not yet. */
  #deliver(): void {
    const waiting = this.#waiting;
    if (!waiting || (this.#items.length === 0 && !isOver(this.#state))) return;
    this.#waiting = undefined;
    if (this.#items.length > 0) waiting.resolve({ done: false, value: this.#takeItems() });
    else if (this.#state.kind === "ended") waiting.resolve({ done: true, value: undefined });
    else waiting.reject(errorOfState(this.#state));
  }

  #takeItems(): readonly Buffer[] {
    const items = this.#items;
    this.#items = [];
    this.#itemBytes = 0;
    return items;
  }
}

function errorOfState(state: StreamState): AppError {
  if (state.kind === "refused" || state.kind === "lost") return state.error;
  const cause = state.kind === "cancelled" ? state.cause : undefined;
  return new AppError("client_closed", "the request was cancelled", { cause });
}
