// The body of an HTTP answer, of which nobody knows in advance how long it is.
import { AppError } from "@mm-router/protocol";

/** @throws AppError `protocol_error` as soon as it is longer than `bytesMax`; the rest is not read */
export async function readLimited(body: AsyncIterable<Buffer>, bytesMax: number, where: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    refuseAbove(bytesMax, length, where);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function refuseAbove(bytesMax: number, bytes: number, where: string): void {
  if (bytes > bytesMax) throw new AppError("protocol_error", `${where} has more than ${bytesMax} bytes`);
}
