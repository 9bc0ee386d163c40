import { familyConversations } from "../suites/image-conversations.ts";

// `in-vocab` again, with runs of several tokens per image: rows, breaks, an end.
await familyConversations("mistral3");
