import { imageConversations } from "../suites/image-conversations.ts";

// No web server: a worker of this release that loads one URL twice at a time forgets it twice, and fails a later request.
await imageConversations({ release: "1.0.2", modelType: "qwen2_5_vl", blockSize: 32, count: 207, fromServer: false });
