// Whether a worker's blocks are what is predicted for it.
//
//   trusted ── different ──▶ distrusted ── three exact in a row ──▶ trusted
//
// Unseen requests say nothing and break no row.
import type { PredictionVerdict } from "./prediction-check.ts";

/** Exact ones in a row that end the distrust. */
const exactToTrust = 3;

export class PredictionTrust {
  /** Verdicts so far. */
  readonly counts: Record<PredictionVerdict["kind"], number> = { exact: 0, different: 0, unseen: 0 };
  private distrusted = false;
  private exactInARow = 0;

  get isTrusted(): boolean {
    return !this.distrusted;
  }

  /** Enough is known for a while: trusted, and lately confirmed. */
  get isSettled(): boolean {
    return !this.distrusted && this.exactInARow >= exactToTrust;
  }

  /** Takes a verdict; says when it changed the trust. */
  note({ kind }: PredictionVerdict): "lost" | "regained" | undefined {
    this.counts[kind]++;
    if (kind === "unseen") return undefined;
    this.exactInARow = kind === "exact" ? this.exactInARow + 1 : 0;
    if (kind === "different" && !this.distrusted) {
      this.distrusted = true;
      return "lost";
    }
    if (!this.distrusted || this.exactInARow < exactToTrust) return undefined;
    this.distrusted = false;
    return "regained";
  }
}
