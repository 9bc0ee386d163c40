// The text side of a model: chat requests → prompts, text ⇄ token ids.
export { type ChatPromptInput } from "./prompt-renderer.ts";
export { Detokenizer, type DetokenizerOptions } from "./detokenizer/detokenizer.ts";
export { type TokenText } from "./detokenizer/token-texts.ts";
export { type Thinking, thinkingArguments } from "./thinking.ts";
export { type JailedText, StopJail, type StopJailOptions } from "./stop-jail.ts";
export { loadTextModel, loadTextModelInTurns, type TextModel, type TextModelFiles, type TextModelOptions } from "./text-model.ts";
