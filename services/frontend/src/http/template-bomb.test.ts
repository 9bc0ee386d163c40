// A request that makes its model's template work without end: refused at the limit, and the next one is served.
import { encodeItem } from "@mm-router/protocol";
import { goldenText } from "@mm-router/testkit/golden";
import { afterEach, beforeEach, expect, it } from "vitest";
import { HttpBench } from "../../test/support/http-bench.ts";
import { loadTextModel } from "../text/index.ts";

const chatTemplate = [
  "{% for a in range(turns|default(1)) %}{% for b in range(turns|default(1)) %}",
  "{% if text is defined %}{% set found = (text * 1000)|upper|replace('B', 'c') %}{% endif %}",
  "{% endfor %}{% endfor %}{{ messages[0].content }}",
].join("");

let bench: HttpBench;

beforeEach(async () => {
  bench = new HttpBench();
  const tokenizerJson = Buffer.from(goldenText("text/models/bytelevel.tokenizer.json"));
  bench.serve("m", { text: loadTextModel({ tokenizerJson, tokenizerConfig: Buffer.from("{}"), chatTemplate }) });
  bench.script = async function* () {
    yield [encodeItem("json", { data: { token_ids: [1], finish_reason: "stop" } })];
  };
  await bench.listen();
});
afterEach(() => bench.close());

const ask = (kwargs: object) => bench.chat({ model: "m", messages: [{ role: "user", content: "hi" }], chat_template_kwargs: kwargs });

it.each([
  ["loops in loops", { turns: 9_000 }],
  ["long texts, again and again", { turns: 3_000, text: "abc".repeat(5_000) }],
])("%s: 400 with the limit in its sentence", async (_, kwargs) => {
  const refused = await ask(kwargs);
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ message: expect.stringContaining("template takes more than 5000000 steps") });
  expect((await ask({})).status).toBe(200);
});
