// How a request body and the items that answer it are written.

/** `json` everywhere; `msgpack` from 1.4.2 on, chosen by the caller and answered in kind. */
export type BodyCodec = "json" | "msgpack";
