// The shape of chat messages: which members each role has, and what they may hold.
//
//   {"content": [{"image_url": {"url": "http://Example.COM/a b.png"}, "type": "image_url"}], "zzz": 1, "role": "user"}
//   → {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://example.com/a%20b.png", "detail": null}}]}
//
// A typed message is what a real frontend writes on: to Text workers and into `extra_args.messages`. Members stand in its order,
// unknown ones are gone, nulls are gone (but `detail`), URLs are normalised. Source: Dynamo 1.6.1, async-openai's chat types;
// evidence: golden frontend img.*, msg.*, req.*, wire frontend-to-text-worker.
import { type LosslessJson, stringifyJsonLossless } from "@mm-router/protocol";
import { anything, type Decoder, either, type JsonMap, list, map, oneOf, orderedMap, ShapeMismatch, tagged, text, yesNo } from "./shape.ts";

/**
 * A URL as the URL standard writes it. Empty text passes: a part may have a `uuid` instead, which media.ts checks.
 * `data:` URLs stay as they are: they may be megabytes, and normalising changes nothing in base64.
 */
const url: Decoder<string> = (value) => {
  const written = text(value);
  if (written === "" || written.startsWith("data:")) return written;
  const parsed = URL.parse(written);
  if (parsed === null) throw new ShapeMismatch("invalid value: not an absolute URL");
  return parsed.href;
};

const detail = oneOf("auto", "low", "high");
const textPart = orderedMap("text part", { type: text, text });
const refusalPart = orderedMap("refusal part", { type: text, refusal: text });
const imageUrl = orderedMap("ImageUrl", { url }, { detail }, { initial: { detail: null } });
const videoUrl = orderedMap("VideoUrl", { url }, { detail }, { initial: { detail: null } });
const audioUrl = orderedMap("AudioUrl", { url });
const inputAudio = orderedMap("InputAudio", { data: text, format: oneOf("wav", "mp3") });

const toolParts = {
  text: textPart,
  image_url: orderedMap("image part", { type: text, image_url: imageUrl }, { uuid: text }),
  video_url: orderedMap("video part", { type: text, video_url: videoUrl }, { uuid: text }),
  audio_url: orderedMap("audio part", { type: text, audio_url: audioUrl }, { uuid: text }),
};
const userParts = { ...toolParts, input_audio: orderedMap("input_audio part", { type: text, input_audio: inputAudio }) };

const textParts = list<LosslessJson>(tagged<LosslessJson>("type", { text: textPart }));
const assistantParts = list<LosslessJson>(tagged<LosslessJson>("type", { text: textPart, refusal: refusalPart }));
const textContent = either<LosslessJson>("message content", text, textParts);
const userContent = either<LosslessJson>("user message content", text, list(tagged<LosslessJson>("type", userParts)));
const toolContent = either<LosslessJson>("tool message content", text, list(tagged<LosslessJson>("type", toolParts)));

/** JSON text; an object is taken too, and becomes text. */
const callArguments: Decoder<string> = (value) => (value instanceof Map ? stringifyJsonLossless(value) : text(value));
const call = orderedMap("tool call", { name: text }, { arguments: callArguments }, { initial: { arguments: "" } });
const toolCall = orderedMap(
  "tool call",
  { id: text, function: call },
  { type: oneOf("function") },
  { initial: { type: "function" }, order: ["id", "type", "function"] },
);

const assistantMembers = {
  content: either<LosslessJson>("assistant message content", text, assistantParts),
  reasoning_content: either<LosslessJson>("reasoning content", text, list<LosslessJson>(text)),
  refusal: text,
  name: text,
  audio: anything,
  tool_calls: list<LosslessJson>(toolCall),
  function_call: call,
  partial: yesNo,
};
const reasoningAlias = { aliases: { reasoning: "reasoning_content" } };

const byRole = tagged<JsonMap>("role", {
  developer: orderedMap("developer message", { role: text, content: textContent }, { name: text }),
  system: orderedMap("system message", { role: text, content: textContent }, { name: text, tools: list(anything) }),
  user: orderedMap("user message", { role: text, content: userContent }, { name: text }),
  assistant: orderedMap("assistant message", { role: text }, assistantMembers, reasoningAlias),
  tool: orderedMap("tool message", { role: text, content: toolContent, tool_call_id: text }),
  function: orderedMap("function message", { role: text, name: text }, { content: text }, { order: ["role", "content", "name"] }),
});

/** Members that one role alone may have; null is as good as absent. The template's rules refuse them where they mean something. */
const onlyRole = { partial: "assistant", tools: "system" };

/** One message of `messages`. */
export const message: Decoder<JsonMap> = (value) => {
  const typed = byRole(value);
  for (const [name, role] of Object.entries(onlyRole)) {
    if (typed.get("role") === role || (map(value).get(name) ?? null) === null) continue;
    throw new ShapeMismatch(`\`${name}\` is only accepted on ${role} messages, not on role ${typed.get("role")}`);
  }
  return typed;
};
