// The alphabet of byte-level tokenizers: each byte is one printable character (byte 0x20 is "Ġ").
//
// Source: GPT-2's bytes_to_unicode; Hugging Face tokenizers 0.23, byte_level.rs.

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

function alphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

/** The character of each byte. */
export const byteCharacters: readonly string[] = alphabet();

const bytesByCharacter: ReadonlyMap<string, number> = new Map(byteCharacters.map((character, byte) => [character, byte]));

/** Bytes that a token of this alphabet stands for; a token with any other character is its own UTF-8. */
export function tokenBytes(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = bytesByCharacter.get(token[i] as string);
    if (byte === undefined) return Buffer.from(token);
    bytes[i] = byte;
  }
  return bytes;
}
