// Logs: one JSON object a line, written before the call returns.
//
//   {"ts":"2026-11-21T03:52:38.123Z","level":"info","service":"mm-router","msg":"request done","request_id":"…","isl_tokens":812}
//
// `msg` is a fixed phrase, what varies are facts. u64 are decimal text (a JSON number would lose digits in most readers).
// Never prompts, pixels, URL queries; a login inside a URL is cut out here, whoever logs it.

export type LogLevel = "debug" | "info" | "warn" | "error";
export type Facts = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(msg: string, facts?: Facts): void;
  info(msg: string, facts?: Facts): void;
  warn(msg: string, facts?: Facts): void;
  error(msg: string, facts?: Facts): void;
  /** A logger whose lines carry these facts too. */
  child(facts: Facts): Logger;
}

/** Takes one line, its newline included. */
export type LogDestination = (line: string) => void;

export interface LoggerOptions {
  readonly service: string;
  readonly level: LogLevel;
  /** `text`: for a person at a terminal. */
  readonly form?: "json" | "text";
  readonly destination?: LogDestination;
}

export const logLevels: readonly LogLevel[] = ["debug", "info", "warn", "error"];

export function createLogger(options: LoggerOptions): Logger {
  const form = options.form === "text" ? textLine : jsonLine;
  const destination = options.destination ?? stderrDestination;
  const lowest = logLevels.indexOf(options.level);
  const loggerWith = (own: Facts): Logger => {
    const at = (level: LogLevel) => (msg: string, facts?: Facts) => {
      if (logLevels.indexOf(level) < lowest) return;
      destination(form({ ts: new Date().toISOString(), level, service: options.service, msg }, { ...own, ...facts }));
    };
    return {
      debug: at("debug"),
      info: at("info"),
      warn: at("warn"),
      error: at("error"),
      child: (facts) => loggerWith({ ...own, ...facts }),
    };
  };
  return loggerWith({});
}

/**
 * Standard error, which Node writes synchronously to files, pipes and terminals on Linux: a line is out before the process ends,
 * and standard output stays free for what tools print.
 */
export const stderrDestination: LogDestination = (line) => {
  process.stderr.write(line);
};

/**
 * The level that a `DYN_LOG` means to us. Upstream's variable takes a filter (`info,dynamo_runtime=debug`): its first bare level
 * counts; `trace` is debug, `off` is error, anything else info.
 */
export function levelOf(filter: string): LogLevel {
  const parts = filter.split(",").map((part) => part.trim().toLowerCase());
  const bare = parts.find((part) => levelNames.has(part));
  return bare === undefined ? "info" : levelNames.get(bare)!;
}

const levelNames: ReadonlyMap<string, LogLevel> = new Map([
  ["trace", "debug"],
  ["debug", "debug"],
  ["info", "info"],
  ["warn", "warn"],
  ["error", "error"],
  ["off", "error"],
]);

interface Head {
  readonly ts: string;
  readonly level: LogLevel;
  readonly service: string;
  readonly msg: string;
}

/** The head stands first and wins over facts of the same name. */
function jsonLine(head: Head, facts: Facts): string {
  return `${JSON.stringify({ ...head, ...facts, ...head }, (_, value) => loggable(value))}\n`;
}

function textLine(head: Head, facts: Facts): string {
  const shown = Object.entries(facts).map(([name, fact]) => {
    const value = loggable(fact);
    return ` ${name}=${typeof value === "string" ? value : JSON.stringify(value, (_, inner) => loggable(inner))}`;
  });
  return `${head.ts.slice(11, 23)} ${head.level.padEnd(5)} ${head.service}: ${head.msg}${shown.join("")}\n`;
}

function loggable(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return withoutLogin(value);
  if (value instanceof Error) return errorFacts(value);
  return value;
}

function errorFacts(error: Error): Facts {
  const { code, details, cause } = error as { code?: unknown; details?: unknown; cause?: unknown };
  return { name: error.name, message: error.message, code, details, cause, stack: error.stack };
}

/** `nats://user:password@host` → `nats://[redacted]@host`. */
function withoutLogin(text: string): string {
  return text.replace(/(\w+:\/\/)[^\s/@]+@/g, "$1[redacted]@");
}
