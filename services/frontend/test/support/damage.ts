// Damages requests: what a faulty or hostile client could send instead. The same in every run.
type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  oneOf<T>(things: readonly T[]): T {
    return things[this.below(things.length)]!;
  }
}

/** A body with one to three faults; one in eight stays whole. @param other body of another request, for its parts */
export function damaged(body: string, other: () => string, dice: Dice): Buffer {
  if (dice.below(8) === 0) return Buffer.from(body);
  const value = parsed(body);
  if (value === undefined || dice.below(4) === 0) return damagedBytes(Buffer.from(body), dice);
  for (let fault = dice.below(3); fault >= 0; fault--) damageMember(value, parsed(other()) ?? {}, dice);
  return Buffer.from(JSON.stringify(value));
}

function parsed(body: string): { [name: string]: Json } | undefined {
  try {
    const value = JSON.parse(body) as Json;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function damagedBytes(bytes: Buffer, dice: Dice): Buffer {
  const at = dice.below(bytes.length + 1);
  const noise = Buffer.from(
    dice.oneOf(["\u0000", '"', "{", "]", ",", "\\", "\\ud800", "1e999", "\n", "é", "[".repeat(300), "9".repeat(400)]),
  );
  switch (dice.below(5)) {
    case 0:
      return bytes.subarray(0, at); // cut
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(8))]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    case 3:
      return Buffer.concat([bytes, noise]);
    default:
      return Buffer.from(bytes.map((byte, index) => (index === at ? dice.below(256) : byte)));
  }
}

/** One member somewhere in the value gets another value, goes, or gets another name. */
function damageMember(value: { [name: string]: Json }, other: Json, dice: Dice): void {
  const holders = holdersIn(value);
  const holder = dice.oneOf(holders) as Record<string, Json>;
  const names = Object.keys(holder);
  const name = names.length === 0 || dice.below(8) === 0 ? dice.oneOf(strangeNames) : dice.oneOf(names);
  const fate = dice.below(8);
  if (fate === 0 && !Array.isArray(holder)) delete holder[name];
  else if (fate === 1) holder[dice.oneOf(strangeNames)] = holder[name] ?? null;
  else if (fate <= 3) holder[name] = structuredClone(dice.oneOf(holdersIn(other)));
  else holder[name] = structuredClone(dice.oneOf(strangeValues));
}

/** Objects and arrays of a value, itself first. */
function holdersIn(value: Json): Json[] {
  if (typeof value !== "object" || value === null) return [];
  return [value, ...Object.values(value).flatMap(holdersIn)];
}

const strangeNames = ["", "0", "-1", "constructor", "toString", "stream", "n", "tools", "content", "messages", "é", "x".repeat(2_000)];

const deep = (depth: number): Json => (depth === 0 ? 1 : [deep(depth - 1)]);
const strangeValues: readonly Json[] = [
  ...[null, true, false, 0, -1, 1, 5, 0.1, -0.5, 1e308, 2 ** 31, 2 ** 53, 2 ** 64, "", " ", "x", "5", "null", "\u0000", "\ud800", "😀"],
  ...[
    "user",
    "system",
    "tool",
    "auto",
    "required",
    "text",
    "data:image/png;base64,",
    "http://127.0.0.1:1/",
    "http://[",
    "x".repeat(50_000),
  ],
  ...[
    [],
    {},
    [null],
    [[]],
    [{}],
    { type: "text" },
    { type: "image_url", image_url: { url: "data:," } },
    { a: { b: {} } },
    deep(100),
    deep(200),
  ],
  ...["{{ 1 }}", "{% for i in range(9) %}", "<|im_end|>", "<tool_call>", "script:default", "(a+)+$", "\\", '{"type":"object"}'],
  Array.from({ length: 200 }, (_, index) => index),
  Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`k${index}`, index])),
];

const strangeHeaderValues = [
  ...["", "0", "-1", "1e9", "18446744073709551616", "é".normalize("NFC"), "a,b", "x".repeat(4_000), "\t", "null", "{}", "%00"],
  ...["00-00000000000000000000000000000000-0000000000000000-00", "application/json; charset=utf-7", "gzip", "text/event-stream", "close"],
];
const headerNames = [
  ...[
    "content-type",
    "accept",
    "accept-encoding",
    "content-encoding",
    "authorization",
    "x-request-id",
    "x-dynamo-request-id",
    "traceparent",
  ],
  ...["x-tenant-id", "x-dynamo-request-priority", "x-dynamo-request-strict-priority", "x-dynamo-session-id", "x-worker-instance-id"],
  ...[
    "x-dynamo-dp-rank",
    "x-dynamo-meta-a",
    "x-dynamo-session-final",
    "x-claude-code-session-id",
    "x-codex-a",
    "thread-id",
    "anthropic-version",
    "tracestate",
    "expect",
  ],
];

/** Headers with up to two strange ones; three in four stay as they are. */
export function damagedHeaders(headers: Readonly<Record<string, string>>, dice: Dice): Record<string, string> {
  const result = { ...headers };
  if (dice.below(4) > 0) return result;
  for (let fault = dice.below(2); fault >= 0; fault--) result[dice.oneOf(headerNames)] = dice.oneOf(strangeHeaderValues);
  return result;
}
