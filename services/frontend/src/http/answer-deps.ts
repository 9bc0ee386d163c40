// What the inference routes need besides the request.
import type { IdentityRule } from "@mm-router/kv";
import type { DispatchOptions } from "../postprocess/dispatch-events.ts";
import type { ModelSet } from "../models/model-set.ts";
import type { RequestLimits } from "../preprocess/limits.ts";
import type { HintOptions } from "../preprocess/request-hints.ts";
import type { ValidationOptions } from "../preprocess/validation.ts";
import type { MigrationLimits } from "./migration.ts";
import type { BodyLimits } from "./request-body.ts";
import type { ServedPaths } from "./served-paths.ts";
import type { StreamSettings } from "./token-answer.ts";

export interface AnswerDeps {
  readonly models: ModelSet;
  readonly bodyLimits: BodyLimits;
  readonly validation: ValidationOptions;
  readonly requestLimits: RequestLimits;
  /** What names a picture (`MMR_IMAGE_IDENTITY`). */
  readonly imageIdentity: IdentityRule;
  readonly hints: HintOptions;
  readonly stream: StreamSettings;
  /** Member of a chat answer that holds thoughts (`--reasoning-field-name`). */
  readonly reasoningField: string;
  readonly migration: MigrationLimits;
  /** Whether the arguments of forced calls are told as they come. */
  readonly streamsForcedCalls: boolean;
  /** Which events of their own a chat's stream has. */
  readonly dispatch: DispatchOptions;
  readonly paths: ServedPaths;
  /** Whether /v1/messages is there (`--enable-anthropic-api`). */
  readonly anthropicApi: boolean;
}
