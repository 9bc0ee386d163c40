// The workers' output under the launcher's name.
//
//   plain line   →  [worker-0] line            colours only when our own output is a terminal
//   JSON line    →  the object with "process":"worker-0" added (DYN_LOGGING_JSONL=1)

const escape = String.fromCharCode(27);
const ansiColour = new RegExp(`${escape}\\[[0-9;]*m`, "g");

export interface LogRelayOptions {
  /** `worker-0`. */
  readonly process: string;
  readonly colours: boolean;
  readonly write: (text: string) => void;
}

/** Returns a function that relays one line. */
export function logRelay({ process, colours, write }: LogRelayOptions): (line: string) => void {
  return (line) => {
    if (isJsonObject(line)) {
      write(line === "{}" ? `{"process":"${process}"}\n` : `{"process":"${process}",${line.slice(1)}\n`);
      return;
    }
    write(`[${process}] ${colours ? line : withoutColour(line)}\n`);
  };
}

/** The line without ANSI colours: Dynamo writes them without a terminal, too. */
export function withoutColour(line: string): string {
  return line.replace(ansiColour, "");
}

function isJsonObject(line: string): boolean {
  if (!line.startsWith("{") || !line.endsWith("}")) return false;
  try {
    JSON.parse(line); // only whether it parses: the text itself goes on
    return true;
  } catch {
    return false;
  }
}
