// Calls to a Python script of the tests over its Unix socket: one call a line, one answer a line, in the same order.
//
//   {"call":"best_worker","with":{…}}  ─▶  {"answer":…} | {"error":"text"}
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type StartedProcess, waitFor } from "@mm-router/testkit";

export type LineCall = (call: string, args: object) => Promise<unknown>;

/** Resolves when the script listens; its socket is in the file system a moment earlier. */
export async function lineCallsTo(socketPath: string, { child }: StartedProcess): Promise<LineCall> {
  const connected = async (): Promise<Socket> => {
    const socket = connect(socketPath);
    await once(socket, "connect");
    return socket;
  };
  return lineCalls(await waitFor({ what: child.name, child }, connected));
}

function lineCalls(socket: Socket): LineCall {
  const waiting: PromiseWithResolvers<unknown>[] = [];
  const fail = (): void => {
    for (const { reject } of waiting.splice(0)) reject(new Error("the script is gone"));
  };
  socket.on("error", fail).on("close", fail);
  createInterface({ input: socket }).on("line", (line) => {
    const { answer, error } = JSON.parse(line) as { answer?: unknown; error?: string };
    const { resolve, reject } = waiting.shift()!;
    if (error === undefined) resolve(answer);
    else reject(new Error(error));
  });
  return (call, args) => {
    const answered = Promise.withResolvers<unknown>();
    waiting.push(answered);
    socket.write(`${JSON.stringify({ call, with: args })}\n`);
    return answered.promise;
  };
}
