import { conversationsPerFamily, imageConversations } from "../suites/image-conversations.ts";

// The dialect `in-vocab`: publishers of ≥ 1.4 replace the image token of four model types, of which this is none.
await imageConversations({ release: "1.6.1", modelType: "llava_next", blockSize: 32, count: conversationsPerFamily });
