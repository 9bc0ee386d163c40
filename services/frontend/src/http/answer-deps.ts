// What the inference routes need besides the request.
import type { ModelSet } from "../models/model-set.ts";
import type { RequestLimits } from "../preprocess/limits.ts";
import type { HintOptions } from "../preprocess/request-hints.ts";
import type { ValidationOptions } from "../preprocess/validation.ts";
import type { BodyLimits } from "./request-body.ts";
import type { StreamSettings } from "./token-answer.ts";

export interface AnswerDeps {
  readonly models: ModelSet;
  readonly bodyLimits: BodyLimits;
  readonly validation: ValidationOptions;
  readonly requestLimits: RequestLimits;
  readonly hints: HintOptions;
  readonly stream: StreamSettings;
  /** Member of a chat answer that holds thoughts (`--reasoning-field-name`). */
  readonly reasoningField: string;
  /** Whether /v1/messages is there (`--enable-anthropic-api`). */
  readonly anthropicApi: boolean;
}
