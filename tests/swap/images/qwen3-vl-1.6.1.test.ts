import { conversationsPerFamily, imageConversations } from "../suites/image-conversations.ts";

// `pad`, with another patch size and a nested vocabulary.
await imageConversations({ release: "1.6.1", modelType: "qwen3_vl", blockSize: 32, count: conversationsPerFamily });
