// ./mmr: the only place that knows all services.
import { AppError, toAppError } from "@mm-router/protocol";
import { nearestName, packageVersion } from "@mm-router/runtime";
import { commandTable } from "./command-table.ts";

const [name, ...argv] = process.argv.slice(2);
process.exitCode = await main(name, argv);

async function main(name: string | undefined, argv: readonly string[]): Promise<number> {
  if (name === "--version" || name === "version") return say(`mm-router ${packageVersion(import.meta.dirname)}\n`);
  if (name === undefined || name === "--help" || name === "help") return say(usage(), name === undefined ? 2 : 0);
  try {
    const command = Object.hasOwn(commandTable, name) ? commandTable[name] : undefined;
    if (command === undefined) throw unknownCommand(name);
    const run = await command.load();
    return await run(argv);
  } catch (thrown) {
    const error = toAppError(thrown);
    process.stderr.write(`mmr ${name}: ${error.message}\n`);
    if (error.code === "internal") process.stderr.write(`${error.stack}\n`);
    return exitCodeOf(error);
  }
}

function unknownCommand(name: string): AppError {
  const nearest = nearestName(name, Object.keys(commandTable));
  return new AppError(
    "configuration",
    `unknown command "${name}"${nearest === undefined ? "; see mmr --help" : `, did you mean "${nearest}"?`}`,
  );
}

function exitCodeOf({ code }: AppError): number {
  if (code === "configuration" || code === "invalid_request") return 2;
  return code === "dependency_unreachable" ? 3 : 1;
}

function usage(): string {
  const width = Math.max(...Object.keys(commandTable).map((command) => command.length));
  const lines = Object.entries(commandTable).map(([command, { help }]) => `  ${command.padEnd(width)}  ${help}`);
  return `Usage: mmr <command> [flags]     mmr <command> --help     mmr --version\n\n${lines.join("\n")}\n`;
}

function say(text: string, exitCode = 0): number {
  (exitCode === 0 ? process.stdout : process.stderr).write(text);
  return exitCode;
}
