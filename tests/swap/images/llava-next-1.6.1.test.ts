import { familyConversations } from "../suites/image-conversations.ts";

// The dialect `in-vocab`: publishers of ≥ 1.4 replace the image token of four model types, of which this is none.
await familyConversations("llava_next", { always: true });
