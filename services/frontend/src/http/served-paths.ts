// Where the routes are: their usual places, unless DYN_HTTP_SVC_<name>_PATH moves one. A moved route leaves nothing behind.

export interface ServedPaths {
  readonly chat: string;
  readonly completions: string;
  readonly embeddings: string;
  readonly responses: string;
  /** Anthropic's. */
  readonly messages: string;
  readonly models: string;
  readonly health: string;
  readonly live: string;
  readonly metrics: string;
}
