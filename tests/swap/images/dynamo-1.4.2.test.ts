import { imageConversations } from "../suites/image-conversations.ts";

await imageConversations({ release: "1.4.2", modelType: "qwen2_5_vl", blockSize: 32, count: 207 });
