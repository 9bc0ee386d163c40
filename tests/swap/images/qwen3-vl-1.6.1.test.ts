import { familyConversations } from "../suites/image-conversations.ts";

// `pad`, with another patch size and a nested vocabulary.
await familyConversations("qwen3_vl");
