// How sure the router is of the blocks it predicts, and the closed list of reasons why it is not. docs/ generates its table from here.
//
//   exact      every token, range and hash is what the worker will publish
//   degraded   only a part is sure: the blocks before the first image that could not be named or counted, unless the reason says otherwise
//   fallback   not even those: routing is by load alone
//
// Nothing here is an error for the client: the request goes on, a degraded image costs cache hits (style.md §3).

/** Reason → what it means and what an operator can do about it. */
export const degradeReasons = {
  "no-image-events": "the workers publish no image information (Dynamo ≤ 0.9): only text before the first image can match",
  "prompt-rebuilt":
    "workers ≤ 0.9 build the prompt of an image request themselves, images first: with text or a system prompt before them it is another",
  "frontend-count": "the image could not be read; its token count is the frontend's, which differs from the processor's for tiny images",
  "unknown-family": "no token arithmetic for this model type: images cannot be counted",
  "unknown-token": "the tokenizer lacks a token of the family's image layout",
  "unknown-vocabulary": "config.json has no vocab_size, which stands for images in events of Dynamo 1.0 and 1.2",
  "processor-options": "the request changes the processor's options in a way that is not counted",
  "placeholder-mismatch": "the prompt has another number of image placeholders than images",
  "too-many-images": "more images than one request may have",
  "no-placeholder": "the prompt has images but no placeholder: where they enter is unknown",
  "size-refused": "the model's processor refuses an image of this size; so will the worker",
  "not-in-request": "the image is in the frontend's memory or named by a uuid only: there are no bytes to read",
  "identity-ignored": "the names of the images cannot be given to the worker, so it names them by pixels",
  "malformed-data-url": "the data: URL is not what workers ≥ 1.2 accept",
  "url-forbidden": "the URL policy refuses the address, or a redirect to it",
  unreachable: "no usable HTTP answer: connection, TLS, status, redirects",
  timeout: "the download did not end in time",
  "too-large": "the file has more bytes than the limit",
  "too-many-pixels": "the image has more pixels than the limit for decoding",
  busy: "the limit of bytes in flight is reached; more memory or more replicas help",
  "unsupported-format": "not a PNG, JPEG or WebP by content, or a multi-picture JPEG: workers refuse it too",
  undecodable: "damaged or truncated file",
  "decode-timeout": "decoding took longer than its limit",
  "decoder-lost": "the decoding thread ended; it is started again for the next image",
} as const;

export type DegradeReason = keyof typeof degradeReasons;

export type Quality =
  | { readonly kind: "exact" }
  | { readonly kind: "degraded"; readonly reason: DegradeReason }
  | { readonly kind: "fallback"; readonly reason: DegradeReason };

export const exact: Quality = { kind: "exact" };
