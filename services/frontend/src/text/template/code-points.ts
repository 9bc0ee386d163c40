// Text as the template language sees it: characters are code points, order is that of UTF-8 bytes.

const surrogates = /[\ud800-\udfff]/;

export function codePointsOf(text: string): string[] {
  return surrogates.test(text) ? [...text] : text.split("");
}

export function codePointCount(text: string): number {
  if (!surrogates.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The character at `index` (≥ 0), or undefined. */
export function codePointAt(text: string, index: number): string | undefined {
  return surrogates.test(text) ? [...text][index] : text[index];
}

/** Order of the code points, which is the order of the UTF-8 bytes; `<` would compare UTF-16 units. */
export function compareText(left: string, right: string): number {
  const end = Math.min(left.length, right.length);
  for (let i = 0; i < end; i++) {
    const a = left.charCodeAt(i);
    const b = right.charCodeAt(i);
    if (a !== b) return surrogateLast(a) - surrogateLast(b);
  }
  return left.length - right.length;
}

/** A surrogate stands for a code point above all others, though U+E000–FFFF have greater units. */
function surrogateLast(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

// Unicode White_Space, as Rust's char::is_whitespace. JavaScript's \s lacks U+0085 and has U+FEFF.
const whiteSpace = String.raw`\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;
/** str.isspace of Python: White_Space and the four separators U+001C–1F. */
const pythonSpace = String.raw`${whiteSpace}\u001c-\u001f`;

const leadingWhiteSpace = new RegExp(`^[${whiteSpace}]+`);
const leadingPythonSpace = new RegExp(`^[${pythonSpace}]+`);
const onlyPythonSpace = new RegExp(`^[${pythonSpace}]+$`);
const whiteSpaceRun = new RegExp(`[${whiteSpace}]+`);
const oneWhiteSpace = new RegExp(`^[${whiteSpace}]$`);
const onePythonSpace = new RegExp(`^[${pythonSpace}]$`);

export function isWhiteSpace(character: string): boolean {
  return oneWhiteSpace.test(character);
}

export function trimStart(text: string): string {
  return text.replace(leadingWhiteSpace, "");
}

export function trimEnd(text: string): string {
  return text.slice(0, endWithout(text, isWhiteSpace));
}

export function pythonTrimStart(text: string): string {
  return text.replace(leadingPythonSpace, "");
}

export function pythonTrimEnd(text: string): string {
  return text.slice(
    0,
    endWithout(text, (character) => onePythonSpace.test(character)),
  );
}

export function isPythonSpace(text: string): boolean {
  return onlyPythonSpace.test(text);
}

/** Words between runs of white space, as str::split_whitespace of Rust. */
export function splitWhiteSpace(text: string): string[] {
  return text.split(whiteSpaceRun).filter((word) => word !== "");
}

/** Without the characters of `set` at the start. */
export function trimSetStart(text: string, set: ReadonlySet<string>): string {
  let start = 0;
  for (const character of text) {
    if (!set.has(character)) break;
    start += character.length;
  }
  return text.slice(start);
}

export function trimSetEnd(text: string, set: ReadonlySet<string>): string {
  return text.slice(
    0,
    endWithout(text, (character) => set.has(character)),
  );
}

/** Where `text` ends once trailing characters that `drops` are cut off. A regular expression would be quadratic. */
function endWithout(text: string, drops: (character: string) => boolean): number {
  let end = text.length;
  while (end > 0) {
    const low = text.charCodeAt(end - 1);
    const width = low >= 0xdc00 && low <= 0xdfff && end > 1 ? 2 : 1;
    if (!drops(text.slice(end - width, end))) break;
    end -= width;
  }
  return end;
}
