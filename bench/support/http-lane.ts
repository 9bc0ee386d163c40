// One kept HTTP connection that asks for streams, as cheaply as a client can: what is measured is the server.
//
//   POST … ─▶        ◀─ head, chunks, "0\r\n\r\n"
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { AppError } from "@mm-router/protocol";

export interface StreamTimes {
  /** Until the first event with data, in ms. */
  readonly firstMs: number;
  readonly wholeMs: number;
}

const streamEnd = "0\r\n\r\n";

export class HttpLane {
  readonly #socket: Socket;
  readonly #port: number;

  static async open(port: number): Promise<HttpLane> {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    await once(socket, "connect");
    return new HttpLane(socket, port);
  }

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#port = port;
    socket.on("error", () => socket.destroy());
  }

  /**
   * Asks for a streamed chat and reads it to its end.
   *
   * @throws AppError when the answer is not 200 or the connection ends
   */
  async ask(body: string): Promise<StreamTimes> {
    if (this.#socket.destroyed) throw new AppError("internal", `port ${this.#port} ended an idle connection`);
    const { promise, resolve, reject } = Promise.withResolvers<StreamTimes>();
    const from = performance.now();
    let firstMs: number | undefined;
    let tail = "";
    const take = (chunk: Buffer): void => {
      const text = chunk.toString("latin1");
      if (tail === "" && !text.startsWith("HTTP/1.1 200")) reject(new AppError("internal", `not a stream: ${text.slice(0, 400)}`));
      if (firstMs === undefined && text.includes("data: ")) firstMs = performance.now() - from;
      tail = (tail + text).slice(-streamEnd.length);
      if (tail === streamEnd) resolve({ firstMs: firstMs!, wholeMs: performance.now() - from });
    };
    const lost = (): void => reject(new AppError("internal", `port ${this.#port} ended the connection inside an answer`));
    this.#socket.on("data", take).once("close", lost);
    this.#socket.write(headOf(body) + body);
    return promise.finally(() => this.#socket.off("data", take).off("close", lost));
  }

  /** Asks, resolves when `events` have come, and goes on taking what comes. */
  async begin(body: string, events: number): Promise<void> {
    this.#socket.write(headOf(body) + body);
    for (let seen = 0; seen < events; ) {
      const [chunk] = (await once(this.#socket, "data")) as [Buffer];
      seen += chunk.toString("latin1").split("data: ").length - 1;
    }
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A number of open lanes, each given to one request at a time. */
export class HttpLanes {
  readonly #free: HttpLane[];

  static async open(port: number, count: number): Promise<HttpLanes> {
    return new HttpLanes(await Promise.all(Array.from({ length: count }, () => HttpLane.open(port))));
  }

  private constructor(lanes: HttpLane[]) {
    this.#free = lanes;
  }

  async ask(body: string): Promise<StreamTimes> {
    const lane = this.#free.pop()!;
    try {
      return await lane.ask(body);
    } finally {
      this.#free.push(lane);
    }
  }

  close(): void {
    for (const lane of this.#free) lane.close();
  }
}

function headOf(body: string): string {
  const length = Buffer.byteLength(body);
  return `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;
}
