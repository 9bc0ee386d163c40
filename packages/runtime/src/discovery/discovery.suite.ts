// What every discovery promises (discovery.ts), told to a factory: etcd and memory call it.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Discovery, Watch } from "./discovery.ts";

export interface DiscoveryFixture {
  /** One more process on the same store. */
  connect(): Promise<Discovery>;
  /** Takes the lease away from a process; resolves when the store did it. */
  loseLease(discovery: Discovery): Promise<void>;
  close(): Promise<void>;
}

/** Follows a prefix and remembers what it was told. */
export class Follower {
  readonly map = new Map<string, string>();
  readonly told: string[] = [];
  readonly #watch: Watch;

  constructor(discovery: Pick<Discovery, "watch">, prefix: string) {
    this.#watch = discovery.watch(prefix, {
      put: (key, value) => {
        this.map.set(key, value);
        this.told.push(`put ${key}=${value}`);
      },
      delete: (key) => {
        this.map.delete(key);
        this.told.push(`delete ${key}`);
      },
      synced: () => this.told.push("synced"),
    });
  }

  get ready(): Promise<void> {
    return this.#watch.ready;
  }

  close(): void {
    this.#watch.close();
  }

  /** Waits until the map is what is expected. */
  async shows(expected: Readonly<Record<string, string>>, withinMs = 30_000): Promise<void> {
    await vi.waitFor(() => expect(Object.fromEntries(this.map)).toEqual(expected), { timeout: withinMs, interval: 20 });
  }
}

export function discoverySuite(name: string, open: () => Promise<DiscoveryFixture>): void {
  describe(`${name} keeps the promises of discovery`, () => {
    let fixture: DiscoveryFixture;
    let ours: Discovery;
    let theirs: Discovery;

    beforeEach(async () => {
      fixture = await open();
      ours = await fixture.connect();
      theirs = await fixture.connect();
    });
    afterEach(async () => {
      await ours.close();
      await theirs.close();
      await fixture.close();
    });

    const fixed = (key: string, value: string) => () => ({ key, value });

    it("gives each process an instance id of its own, beyond what a JavaScript number holds", () => {
      expect(ours.instanceId).not.toBe(theirs.instanceId);
      expect(ours.instanceId).toBeGreaterThan(BigInt(Number.MAX_SAFE_INTEGER));
    });

    it("tells what is there first, then `synced`, then changes in their order", async () => {
      await theirs.register(fixed("s/a", "1"));
      const follower = new Follower(ours, "s/");
      await follower.ready;
      const second = await theirs.register(fixed("s/b", "2"));
      await follower.shows({ "s/a": "1", "s/b": "2" });
      await second.withdraw();
      await follower.shows({ "s/a": "1" });
      expect(follower.told).toEqual(["put s/a=1", "synced", "put s/b=2", "delete s/b"]);
    });

    it("calls the entry with the instance id, so that key and value can carry it", async () => {
      const follower = new Follower(theirs, "s/");
      await ours.register((id) => ({ key: `s/${id.toString(16)}`, value: `{"instance_id":${id}}` }));
      await follower.shows({ [`s/${ours.instanceId.toString(16)}`]: `{"instance_id":${ours.instanceId}}` });
    });

    it("leaves a key that exists already as it is, and counts it as written", async () => {
      await theirs.register(fixed("s/a", "first"));
      await ours.register(fixed("s/a", "second"));
      const follower = new Follower(ours, "s/");
      await follower.ready;
      expect(Object.fromEntries(follower.map)).toEqual({ "s/a": "first" });
    });

    it("does not tell keys of another prefix, however much of it they share", async () => {
      await theirs.register(fixed("s/generate/1", "in"));
      await theirs.register(fixed("s/generate2/1", "out"));
      const follower = new Follower(ours, "s/generate/");
      await follower.ready;
      expect(Object.fromEntries(follower.map)).toEqual({ "s/generate/1": "in" });
    });

    it("keeps any text: no escaping, nothing lost beyond ASCII", async () => {
      await theirs.register(fixed("s/a", '{"name":"größe\\n✓"}'));
      const follower = new Follower(ours, "s/");
      await follower.shows({ "s/a": '{"name":"größe\\n✓"}' });
    });

    it("withdraws once, however often it is told to", async () => {
      const registration = await theirs.register(fixed("s/a", "1"));
      const follower = new Follower(ours, "s/");
      await follower.shows({ "s/a": "1" });
      await Promise.all([registration.withdraw(), registration.withdraw()]);
      await registration.withdraw();
      await follower.shows({});
    });

    it("is silent after a watch was closed", async () => {
      const follower = new Follower(ours, "s/");
      await follower.ready;
      follower.close();
      const witness = new Follower(ours, "s/");
      await theirs.register(fixed("s/a", "1"));
      await witness.shows({ "s/a": "1" });
      expect(follower.told).toEqual(["synced"]);
    });

    it("rejects `ready` of a watch that is closed before its first list", async () => {
      const follower = new Follower(ours, "s/");
      follower.close();
      await expect(follower.ready).rejects.toMatchObject({ code: "client_closed" });
    });

    it("rejects a registration whose signal has aborted, and writes nothing", async () => {
      const follower = new Follower(theirs, "s/");
      await expect(ours.register(fixed("s/a", "1"), AbortSignal.abort(new Error("not any more")))).rejects.toThrow("not any more");
      await ours.register(fixed("s/b", "2"));
      await follower.shows({ "s/b": "2" });
    });

    it("takes all keys of a process away when it closes, and takes close twice", async () => {
      await theirs.register(fixed("s/a", "1"));
      await theirs.register(fixed("s/b", "2"));
      const follower = new Follower(ours, "s/");
      await follower.shows({ "s/a": "1", "s/b": "2" });
      await Promise.all([theirs.close(), theirs.close()]);
      await follower.shows({});
      await expect(theirs.register(fixed("s/c", "3"))).rejects.toMatchObject({ code: "client_closed" });
    });

    it("gets a new id after a lost lease, tells its listeners and waits for them, then writes every key again", async () => {
      const before = ours.instanceId;
      await ours.register((id) => ({ key: `s/${id}`, value: "kept" }));
      const withdrawn = await ours.register((id) => ({ key: `s/withdrawn-${id}`, value: "x" }));
      await withdrawn.withdraw();
      const follower = new Follower(theirs, "s/");
      await follower.shows({ [`s/${before}`]: "kept" });
      let seenByListener: string | undefined;
      ours.onInstanceIdChanged(async (id) => {
        await theirs.register(fixed("s/witness", "1")); // a round trip, in which a key not held back would show up too
        await follower.shows({ "s/witness": "1" });
        seenByListener = id === ours.instanceId ? "its new id" : "another id";
      });
      ours.onInstanceIdChanged(() => Promise.reject(new Error("a listener that fails holds nobody up")));
      ours.onInstanceIdChanged(() => void (seenByListener = "though removed"))();

      await fixture.loseLease(ours);
      await vi.waitFor(() => expect(seenByListener).toBe("its new id"), { timeout: 30_000 });
      expect(ours.instanceId).not.toBe(before);
      await follower.shows({ "s/witness": "1", [`s/${ours.instanceId}`]: "kept" });
    });
  });
}
