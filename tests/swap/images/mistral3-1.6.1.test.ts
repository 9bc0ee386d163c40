import { conversationsPerFamily, imageConversations } from "../suites/image-conversations.ts";

// `in-vocab` again, with runs of several tokens per image: rows, breaks, an end.
await imageConversations({ release: "1.6.1", modelType: "mistral3", blockSize: 32, count: conversationsPerFamily });
