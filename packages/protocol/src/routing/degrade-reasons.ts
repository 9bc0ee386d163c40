// Why a routing decision is less than exact: the closed list, each with what it means and what an operator can do about it.
//
// The names are on the wire: a label of `mm_router_degraded_total`, a member of the `routing_quality` annotation, of explanations and of
// kept decisions. docs/errors.md and the frontend's page take the sentences from here. None of them fails a request.

/** About index, workers and routing itself. */
export const routingReasons = {
  "index-missing": "nobody serves kv_indexer_query under the workers' component: start an indexer, or the router with --index own",
  "index-late": "the index did not answer within its deadline: it is overloaded, or the machine is",
  "index-failed": "the index refused, broke off or answered what cannot be read; its log says more",
  "index-resting": "the index failed several times in a row and is not asked for a moment",
  "block-size": "workers with another block size than ours cannot be matched, only balanced by load",
  "prediction-differs": "this worker publishes other blocks than predicted for images: mmr doctor and the log name the first one",
  "analysis-failed": "a fault of this router while it looked at the images; the log has the error",
} as const;

/** About images. */
export const imageReasons = {
  "no-image-events": "the workers publish no image information (Dynamo ≤ 0.9): only text before the first image can match",
  "prompt-rebuilt":
    "workers ≤ 0.9 build the prompt of an image request themselves, images first: with text or a system prompt before them it is another",
  "prompt-reencoded":
    "workers decode the prompt of an image request and encode it again; with the model's tokenizer other tokens may come out " +
    "(a second BOS, other spaces): the blocks are looked up as they are, but may differ",
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

export type ImageReason = keyof typeof imageReasons;
export type DegradeReason = keyof typeof routingReasons | ImageReason;

export const degradeReasons: Readonly<Record<DegradeReason, string>> = { ...routingReasons, ...imageReasons };

/** The annotation by which a client, or our frontend, asks how sure a decision was. */
export const routingQualityAnnotation = "routing_quality";
