import { conversationsPerFamily, imageConversations } from "../swap/suites/image-conversations.ts";

// `in-vocab`, counted by a processor that runs on torch alone; the worker is the stand-in's, in the engine's environment.
await imageConversations({
  release: "1.6.1",
  modelType: "phi4_multimodal",
  blockSize: 32,
  count: conversationsPerFamily,
  needsTorch: true,
});
