// An image that could not be read, and why. Never an error for the client: mm-router turns it into a degraded decision.
import { AppError, type ErrorCode } from "../errors.ts";
import type { ImageReason } from "./degrade-reasons.ts";

/** What a client would be told where the policy is to refuse, by reason; all others are `image_undecodable`. */
const codes: Partial<Record<ImageReason, ErrorCode>> = {
  "malformed-data-url": "invalid_request",
  "not-in-request": "invalid_request",
  "url-forbidden": "image_forbidden",
  unreachable: "image_unreachable",
  timeout: "deadline_exceeded",
  "too-large": "image_too_large",
  "too-many-pixels": "image_too_large",
  busy: "overloaded",
};

export class ImageProblem extends AppError {
  readonly reason: ImageReason;

  constructor(reason: ImageReason, message: string, options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {}) {
    super(codes[reason] ?? "image_undecodable", message, options);
    this.reason = reason;
  }
}
