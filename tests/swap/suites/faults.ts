// Faults, met once per release: a killed worker and a killed mocker. Last in the cell, which has one worker less afterwards.
import { internalModel } from "@mm-router/testkit";
import { describe, expect, it } from "vitest";
import type { CellOf } from "../harness/cell.ts";
import { chat } from "../harness/chat.ts";
import { callInstance } from "../harness/our-client.ts";
import { uniquePrompt } from "../harness/prompts.ts";
import { tokensRequest } from "../harness/tokens-request.ts";

const longRequest = tokensRequest(5000, { max_tokens: 2000, ignore_eos: true });

export function faultSuite(cell: CellOf): void {
  describe("kill -9", () => {
    it("of a worker ends its stream with an error within 2 s", async () => {
      const { runtime, place, workers } = cell();
      const victim = workers[1]!;
      let killedAt = Number.NaN;
      const outcome = await callInstance(runtime, place, victim, longRequest, {
        onItem: async (_, count) => {
          if (count !== 3) return;
          killedAt = performance.now();
          await victim.kill();
        },
      });
      expect(outcome.error?.code).toBe("worker_lost");
      expect(outcome.items.length).toBeGreaterThanOrEqual(3);
      expect(performance.now() - killedAt).toBeLessThan(2_000);
    });

    it("of a worker leaves later requests to the other, though its record stays", async () => {
      const { ourFrontend } = cell();
      const prompts = Array.from({ length: 4 }, () => uniquePrompt());
      const answers = await Promise.all(prompts.map((prompt) => chat(ourFrontend.url, internalModel, prompt)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    });

    it("of a mocker ends its stream with an error within 2 s", async () => {
      const { runtime, mocker } = cell();
      let killedAt = Number.NaN;
      const outcome = await callInstance(runtime, mocker.place, mocker, longRequest, {
        onItem: async (_, count) => {
          if (count !== 1) return;
          killedAt = performance.now();
          await mocker.kill();
        },
      });
      expect(outcome.error?.code).toBe("worker_lost");
      expect(performance.now() - killedAt).toBeLessThan(2_000);
    });
  });
}
