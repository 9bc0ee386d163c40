// The Grafana board asks for what the processes tell: each of its queries, by Prometheus' own grammar, of a real scrape.
import { metricOf, waitFor } from "@mm-router/testkit";
import { describeReal, real } from "@mm-router/testkit/requires";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rows } from "../../tools/board.ts";
import { type Chain, startChain } from "./harness/chain.ts";
import { chatRequest, imageRequest, uniquePictureUrl, uniquePrompt } from "./harness/requests.ts";
import { askedBy, type Sample, scrape } from "./harness/scrape.ts";

const panels = rows.flatMap((row) => row.panels.map((panel) => ({ row: row.title, ...panel })));

await describeReal("the Grafana board", real.infra, () => {
  let chain: Chain;
  let samples: readonly Sample[] = [];
  beforeAll(async () => {
    chain = await startChain({ requestPlane: "tcp", routers: 1 });
    const picture = imageRequest(uniquePictureUrl());
    for (const request of [chatRequest(uniquePrompt()), picture, picture]) await chain.openai.chat.completions.create(request);
    const [router] = chain.routers;
    await waitFor({ what: "a picture whose published blocks were compared" }, async () => {
      return (await metricOf(router!, "mm_router_image_predictions")) > 0 || undefined;
    });
    samples = (
      await Promise.all([
        scrape("frontend", `${chain.frontend.url}/metrics`),
        scrape("indexer", `${chain.indexer.statusUrl}/metrics`),
        scrape("mm-router", `${router!.statusUrl}/metrics`),
      ])
    ).flat();
  });
  afterAll(() => chain?.[Symbol.asyncDispose]());

  describe.each(panels)("$row: $title", ({ queries }) => {
    it.each(queries)("$expr", ({ expr, legend }) => {
      const { metrics, grouping } = askedBy(expr);
      expect(metrics.length).toBeGreaterThan(0);
      for (const metric of metrics) {
        const selected = samples.filter(({ name }) => name === metric);
        expect(selected.length, `samples of ${metric}`).toBeGreaterThan(0);
        for (const label of grouping)
          expect(
            selected.some(({ labels }) => labels.has(label)),
            `${metric}: ${label}`,
          ).toBe(true);
      }
      const named = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]);
      expect(grouping).toEqual(expect.arrayContaining(named));
    });
  });
});
