// What the engines of a tokenizer have in common: they encode text that has no added tokens in it.

export interface PieceEncoder {
  /** The text as the model's vocabulary writes it; added tokens that are searched in normalised text are searched in it. */
  normalize(text: string): string;
  /**
   * Appends the ids of a normalised piece to `ids`.
   *
   * @param isFirst whether the piece begins the whole text
   */
  encode(piece: string, isFirst: boolean, ids: number[]): void;
}
