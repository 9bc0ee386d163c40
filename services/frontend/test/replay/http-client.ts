// Sends a request exactly as it was recorded: headers, paths and bodies that fetch() would mend.
import { request as httpRequest } from "node:http";
import type { Answer } from "./comparison.ts";

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export function send(baseUrl: string, { method, path, headers, body }: RecordedRequest): Promise<Answer> {
  const { hostname, port } = new URL(baseUrl);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve(answerOf(response.statusCode!, response.headers as Record<string, string>, Buffer.concat(chunks).toString())),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
}

function answerOf(status: number, headers: Record<string, string>, text: string): Answer {
  const isStream = headers["content-type"]?.startsWith("text/event-stream") === true;
  return isStream ? { status, headers, sse: text.split("\n\n").filter((event) => event !== "") } : { status, headers, body: text };
}
