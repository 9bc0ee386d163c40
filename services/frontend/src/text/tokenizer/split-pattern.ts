// Regular expressions of tokenizer.json, written for Oniguruma, as JavaScript's.
//
//   (?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\s+(?!\S)
//
// Only `\s` and `\S` mean something else: JavaScript's lacks U+0085 and has U+FEFF. What is not the same in both languages, or
// not sure to be, is not translated: the tokenizer then goes to the fallback engine.

const space = String.raw`\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;

/** Escapes that mean the same in both. */
const sharedEscapes = /^\\(?:[pP]\{[A-Za-z_]+\}|[rntf\\/.*+?^$|()[\]{}-])$/;
const sharedGroups = new Set(["(?:", "(?=", "(?!", "(?i:"]);
/** Groups, escapes, and what only Oniguruma knows: possessive quantifiers, intersections of classes. */
const tokens = /\\[pP]\{[^}]*\}|\\[\s\S]|\(\?[^:=!<]*[:=!<]?|[?*+}]\+|&&|[\s\S]/gu;

/** @returns undefined for a pattern that cannot be translated with certainty */
export function javaScriptPattern(pattern: string): RegExp | undefined {
  let inClass = false;
  let isShared = true;
  const translated = pattern.replace(tokens, (token) => {
    isShared &&= inClass ? isSharedInClass(token) : isSharedOutside(token);
    if (token === "[") inClass = true;
    if (token === "]") inClass = false;
    if (token === String.raw`\s`) return inClass ? space : `[${space}]`;
    return token === String.raw`\S` ? `[^${space}]` : token;
  });
  try {
    return isShared ? new RegExp(translated, "gu") : undefined;
  } catch {
    return undefined; // what only Oniguruma understands
  }
}

function isSharedInClass(token: string): boolean {
  if (token.startsWith("\\")) return token === String.raw`\s` || sharedEscapes.test(token);
  return token !== "[" && token !== "&&";
}

function isSharedOutside(token: string): boolean {
  if (token.startsWith("\\")) return /^\\[sS]$/.test(token) || sharedEscapes.test(token);
  if (token.startsWith("(?")) return sharedGroups.has(token);
  return token.length === 1 && !"^$.".includes(token);
}

/** Matches and what is between them, in order. */
export function isolatedPieces(text: string, pattern: RegExp): string[] {
  const matches = text.match(pattern) ?? [];
  let length = 0;
  for (const match of matches) length += match.length;
  return length === text.length ? matches : piecesWithGaps(text, pattern);
}

function piecesWithGaps(text: string, pattern: RegExp): string[] {
  const pieces: string[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match[0] === "") continue;
    if (match.index > end) pieces.push(text.slice(end, match.index));
    pieces.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length) pieces.push(text.slice(end));
  return pieces;
}
