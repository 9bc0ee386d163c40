// Looks into JSON text without rewriting it: arguments reach the client as the model wrote them, spaces and `1e-07` included.
import { type LosslessJson, parseJsonLossless } from "@mm-router/protocol";

/** The value; undefined when the text is no JSON. */
export function parsedJson(text: string): LosslessJson | undefined {
  try {
    return parseJsonLossless(text);
  } catch {
    return undefined;
  }
}

/**
 * Where the array, object or string ends that begins at `from`: the index after it, or undefined when the text ends before.
 * Brackets inside strings do not count; whether the value is well formed otherwise is not looked at.
 */
export function endOfValue(text: string, from: number): number | undefined {
  let depth = 0;
  let inString = false;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === "\\") at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    if (depth <= 0 && !inString) return at + 1;
  }
  return undefined;
}

/** Texts of the items of an array. @param json well-formed */
export function itemTexts(json: string): string[] {
  return partsOf(json.slice(json.indexOf("[") + 1, json.lastIndexOf("]"))).filter((part) => part !== "");
}

/** Texts of the values of an object's members. @param json well-formed */
export function memberTexts(json: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  for (const part of partsOf(json.slice(json.indexOf("{") + 1, json.lastIndexOf("}")))) {
    const nameEnd = part === "" ? undefined : endOfValue(part, 0);
    if (nameEnd === undefined) continue;
    members.set(parsedJson(part.slice(0, nameEnd)) as string, part.slice(part.indexOf(":", nameEnd) + 1).trim());
  }
  return members;
}

/** What stands between the commas of the outermost level. */
function partsOf(inner: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < inner.length; at++) {
    const char = inner[at];
    if (char === '"' || char === "{" || char === "[") at = endOfValue(inner, at)! - 1;
    else if (char === ",") {
      parts.push(inner.slice(from, at).trim());
      from = at + 1;
    }
  }
  return [...parts, inner.slice(from).trim()];
}
