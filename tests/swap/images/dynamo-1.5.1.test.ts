import { imageConversations } from "../suites/image-conversations.ts";

await imageConversations({ release: "1.5.1", modelType: "qwen2_vl", blockSize: 32, count: 207 });
