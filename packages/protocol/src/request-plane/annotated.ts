// placeholder
export interface Annotated {
  readonly data?: unknown;
  readonly id?: string;
  readonly event?: string;
  readonly comment?: readonly string[];
  readonly error?: unknown;
}
