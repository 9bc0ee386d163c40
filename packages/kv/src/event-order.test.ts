import { describe, expect, it } from "vitest";
import { EventOrder } from "./event-order.ts";

describe("EventOrder", () => {
  it("knows nothing of a rank's past at first, and again after a reset", () => {
    const order = new EventOrder();
    expect(order.judge(7n, true)).toBe("first");
    order.advance(7n);
    expect(order.judge(8n, true)).toBe("next");
    order.reset();
    expect(order.judge(8n, true)).toBe("first");
    expect(order.cursor).toBeUndefined();
  });

  it("tells the next event, a repeated one and a gap apart", () => {
    const order = new EventOrder();
    order.advance(2n ** 63n);
    expect(["next", "duplicate", "duplicate", "gap"]).toEqual(
      [2n ** 63n + 1n, 2n ** 63n, 0n, 2n ** 63n + 2n].map((id) => order.judge(id, true)),
    );
  });

  it("takes a jump for the next event where the engine numbers the events", () => {
    const order = new EventOrder();
    order.advance(3n);
    expect([order.judge(3n, false), order.judge(9n, false)]).toEqual(["duplicate", "next"]);
  });
});
