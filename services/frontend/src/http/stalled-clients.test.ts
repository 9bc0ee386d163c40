// Clients that ask and do not read: what they cost is bounded, and their worker is let go.
import { connect, type Socket } from "node:net";
import { encodeItem } from "@mm-router/protocol";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HttpBench } from "../../test/support/http-bench.ts";

const piece = "x".repeat(64 * 1024);
/** Far more than the buffers of two sockets hold. */
const piecesMax = 2_000;

const item = encodeItem("json", {
  data: { id: "w", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content: piece } }] },
});

describe("a client that does not read", () => {
  let bench: HttpBench;
  let socket: Socket;
  let given: number;

  beforeEach(async () => {
    given = 0;
    bench = new HttpBench({ stallMs: 300 });
    bench.serve("m");
    await bench.listen();
    bench.script = async function* ({ signal }) {
      for (; given < piecesMax && !signal.aborted; given++) yield [item];
    };
  });
  afterEach(() => {
    socket.destroy();
    bench.close();
  });

  function ask(stream: boolean): void {
    const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }], stream });
    socket = connect(bench.port, "127.0.0.1");
    socket.pause(); // never read from
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  }

  const isDone = () => bench.lines.find(({ msg }) => msg === "request done");

  it("holds its worker back, and is cut off when it takes nothing for long", async () => {
    ask(true);
    await vi.waitFor(() => expect(isDone()).toBeDefined(), { timeout: 30_000 });
    expect(isDone()!.facts).toMatchObject({ client_left: true });
    expect(given).toBeLessThan(piecesMax / 2);
  });

  it("is cut off after a whole answer, too", async () => {
    bench.script = async function* () {
      for (let at = 0; at < 400; at++) yield [item];
    };
    ask(false);
    await vi.waitFor(() => expect(isDone()).toBeDefined(), { timeout: 30_000 });
    await vi.waitFor(async () => expect(await bench.connections()).toBe(0), { timeout: 30_000 });
  });
});
