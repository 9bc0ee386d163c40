// etcd asked over its JSON gateway: another way in than the one under test, so that it can say what is really there.
//
// Bytes are base64, u64 are decimal text.
import { parseJson } from "@mm-router/protocol";

export class EtcdGateway {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async list(prefix: string): Promise<Record<string, string>> {
    const { kvs = [] } = await this.#ask("kv/range", { key: encode(prefix), range_end: encode(successorOf(prefix)) });
    return Object.fromEntries((kvs as { key: string; value: string }[]).map(({ key, value }) => [decode(key), decode(value)]));
  }

  async put(key: string, value: string): Promise<void> {
    await this.#ask("kv/put", { key: encode(key), value: encode(value) });
  }

  async delete(key: string): Promise<void> {
    await this.#ask("kv/deleterange", { key: encode(key) });
  }

  async revoke(lease: bigint): Promise<void> {
    await this.#ask("lease/revoke", { ID: lease.toString() });
  }

  /** Seconds for which the lease was granted; -1 when it does not exist. */
  async grantedTtlS(lease: bigint): Promise<number> {
    const { TTL, grantedTTL } = await this.#ask("lease/timetolive", { ID: lease.toString() });
    return Number(TTL) < 0 ? -1 : Number(grantedTTL);
  }

  /** Forgets all history up to now: a watch from an earlier revision is canceled. */
  async compact(): Promise<void> {
    const { header } = await this.#ask("kv/range", { key: encode("x") });
    await this.#ask("kv/compaction", { revision: (header as { revision: string }).revision, physical: true });
  }

  async #ask(method: string, body: object): Promise<Record<string, unknown>> {
    const answer = await fetch(`${this.#url}/v3/${method}`, {
      method: "POST",
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5000),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`etcd gateway ${method}: ${answer.status} ${text}`);
    return parseJson(text) as Record<string, unknown>;
  }
}

const encode = (text: string): string => Buffer.from(text).toString("base64");
const decode = (base64: string): string => Buffer.from(base64, "base64").toString();

function successorOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
