import { describe, expect, it } from "vitest";
import { EventOrder } from "./event-order.ts";

describe("EventOrder", () => {
  it("knows nothing of a rank's past at first, and again after a reset", () => {
    const order = new EventOrder(true);
    expect(order.judge(7n)).toBe("first");
    order.advance(7n);
    expect(order.judge(8n)).toBe("next");
    order.reset();
    expect(order.judge(8n)).toBe("first");
    expect(order.cursor).toBeUndefined();
  });

  it("tells the next event, a repeated one and a gap apart", () => {
    const order = new EventOrder(true);
    order.advance(2n ** 63n);
    expect(["next", "duplicate", "duplicate", "gap"]).toEqual([2n ** 63n + 1n, 2n ** 63n, 0n, 2n ** 63n + 2n].map((id) => order.judge(id)));
  });

  it("takes a jump for the next event where the engine numbers the events", () => {
    const order = new EventOrder(false);
    order.advance(3n);
    expect([order.judge(3n), order.judge(9n)]).toEqual(["duplicate", "next"]);
  });
});
