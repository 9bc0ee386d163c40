// The life of a service's process, the same for all: settings, start, ready, signals, drain, exit code.
//
//   argv, env ──▶ config ──▶ log, metrics, status server (503) ──▶ create() ──▶ ready (200)
//                  │ exit 2                                          │ exit 2, 3, 1     │
//                                                     SIGTERM, SIGINT, or `ended`       ▼
//                             exit 0 ◀── close(), at most the shutdown deadline ◀── 503, unregister, drain
//
//   exit 0 clean stop · 1 unexpected · 2 wrong usage or configuration · 3 a dependency out of reach past its deadline
//
// I1  Whatever was opened is closed in reverse, also when the start fails half-way.
// I2  The first SIGTERM or SIGINT stops gently, also during the start; the second one exits at once, with 1.
// I3  An unhandled rejection or exception is logged and ends the process with 1: its state cannot be trusted.
import { AppError, toAppError } from "@mm-router/protocol";
import { withDeadline } from "../flow/deadline.ts";
import { startTracer, type Tracer } from "../tracing/index.ts";
import {
  type ConfigOf,
  decimal,
  type Environment,
  type Fields,
  field,
  helpText,
  integer,
  loggableConfig,
  parseConfig,
  splitPassThrough,
} from "./config.ts";
import { createLogger, type Logger, levelOf } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { type Health, type Readiness, type StatusServer, startStatusServer } from "./status-server.ts";
import { z } from "zod";

const collector = z.url({ protocol: /^https?$/ }).optional();

/** Settings of the shell itself; every service has them. */
export const serviceFields = {
  logLevel: field(z.string().default("info").transform(levelOf), {
    env: "DYN_LOG",
    help: "debug, info, warn or error; of a filter as Dynamo takes it the first bare level counts",
  }),
  logForm: field(z.enum(["json", "text"]).optional(), {
    env: "MMR_LOG_FORMAT",
    help: "json: one object a line; text: for people. Default: text on a terminal, else json",
  }),
  systemPort: field(integer(-1, 65_535).default(-1), {
    env: "DYN_SYSTEM_PORT",
    help: "port of /live, /health and /metrics; 0: any free one, -1: off",
  }),
  otlpTracesEndpoint: field(collector, {
    env: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    help: "where spans of requests are posted (OTLP over HTTP, JSON), e.g. http://tempo:4318/v1/traces. Default: none are made",
  }),
  otlpEndpoint: field(collector, {
    env: "OTEL_EXPORTER_OTLP_ENDPOINT",
    help: "the same without /v1/traces; the other one goes first",
  }),
  shutdownDeadlineS: field(decimal(0).default(30), {
    env: "MMR_SHUTDOWN_DEADLINE_SECS",
    unit: "seconds",
    help: "how long a stop may take in all; what runs then is cut off",
  }),
};

export type ServiceConfig<F extends Fields> = ConfigOf<F> & ConfigOf<typeof serviceFields>;

export interface ServiceDeps {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** Aborts when the process was told to stop: a start that is still running gives up. */
  readonly signal: AbortSignal;
  /** Name and version, as operators see them. */
  readonly service: { readonly name: string; readonly version: string };
  /** The process's own, for what reads variables by somebody else's rules (`resolveModel`, child processes). */
  readonly environment: Environment;
  /** What stood behind a lone `--` on the command line. */
  readonly passThrough: readonly string[];
}

export interface RunningService {
  /** Unregisters, stops admitting, drains, closes. Called once; what is not done at the shutdown deadline is cut off. */
  close(): Promise<void>;
  /** For the status server, by endpoint name. */
  endpoints?(): Readonly<Record<string, Readiness>>;
  /** Settles when the service ends by itself: fulfilled = clean stop, rejected = the exit code of its error. */
  readonly ended?: Promise<void>;
}

export interface ServiceDefinition<F extends Fields> {
  /** As in `mmr <name>`; also the `service` of every log line. */
  readonly name: string;
  readonly version: string;
  readonly fields: F;
  /** Whether arguments behind a lone `--` are allowed. */
  readonly takesPassThrough?: boolean;
  /** Starts the service; resolves when it is ready to be used. */
  create(config: ServiceConfig<F>, deps: ServiceDeps): Promise<RunningService>;
}

/**
 * Runs a service to its end and exits the process.
 *
 * @param argv arguments after the service's name
 */
export async function runService<F extends Fields>(
  definition: ServiceDefinition<F> & { readonly argv: readonly string[] },
): Promise<never> {
  const fields = { ...serviceFields, ...definition.fields };
  const { own, passThrough } = splitPassThrough(definition.argv);
  if (own.includes("--help")) {
    process.stdout.write(helpText(`mmr ${definition.name} [flags]${definition.takesPassThrough === true ? " [-- …]" : ""}`, fields));
    process.exit(0);
  }
  const config = configOrExit(definition, fields, own, passThrough);
  const log = createLogger({
    service: definition.name,
    level: config.logLevel,
    form: config.logForm ?? (process.stderr.isTTY ? "text" : "json"),
  });
  exitOnBug(log);
  const { name, version } = definition;
  const deps = {
    log,
    metrics: createMetrics(),
    tracer: await startTracer(config, { name, version }),
    signal: stopSignal(log),
    service: { name, version },
    environment: process.env,
    passThrough,
  };
  log.info("starting", { version, config: loggableConfig(fields, config) });
  const alive = setInterval(() => {}, 3_600_000); // a service lives until it is told to stop, not until its last socket closes
  const exitCode = await live(definition, config, deps);
  clearInterval(alive);
  process.exit(exitCode);
}

/** 0 is for clean stops; an error is never one. */
export function exitCodeOf(error: unknown): 1 | 2 | 3 {
  if (!(error instanceof AppError)) return 1;
  if (error.code === "configuration") return 2;
  return error.code === "dependency_unreachable" ? 3 : 1;
}

/** There is no logger yet whose form and level are known: the sentence goes out as it is. */
function configOrExit<F extends Fields>(
  { name, takesPassThrough }: ServiceDefinition<F>,
  fields: F & typeof serviceFields,
  own: readonly string[],
  passThrough: readonly string[],
): ServiceConfig<F> {
  try {
    if (passThrough.length > 0 && takesPassThrough !== true) throw new AppError("configuration", `nothing may stand behind "--"`);
    return parseConfig(fields, own, process.env);
  } catch (error) {
    process.stderr.write(`mmr ${name}: ${toAppError(error).message}\n`);
    process.exit(exitCodeOf(error));
  }
}

/** @returns the exit code; never rejects */
async function live<F extends Fields>(definition: ServiceDefinition<F>, config: ServiceConfig<F>, deps: ServiceDeps): Promise<number> {
  const { log, metrics, signal } = deps;
  let ready: RunningService | undefined;
  const health = (): Health => ({
    status: ready === undefined || signal.aborted ? "notready" : "ready",
    endpoints: ready?.endpoints?.() ?? {},
  });
  let statusServer: StatusServer | undefined;
  let starting: Promise<RunningService> | undefined;
  let exitCode = 0;
  try {
    if (config.systemPort >= 0) {
      statusServer = await startStatusServer(config.systemPort, { health, metrics });
      log.info("status server", { status_port: statusServer.port });
    }
    starting = definition.create(config, deps);
    ready = await untilStopped(starting, signal);
    if (ready !== undefined) {
      log.info("ready", { startup_ms: Math.round(process.uptime() * 1000) });
      await untilStopped(ready.ended ?? new Promise<never>(() => {}), signal);
    }
  } catch (error) {
    if (!signal.aborted) {
      exitCode = exitCodeOf(error);
      log.error("ending after an error", { error });
    }
  }
  log.info("stopping");
  const closing = closeAll(starting, statusServer, deps.tracer);
  await withDeadline(closing, config.shutdownDeadlineS * 1000, "the shutdown").catch((error) => {
    log.error("not closed properly", { error });
    if (toAppError(error).code !== "deadline_exceeded") exitCode = exitCode || 1;
  });
  log.info("stopped", { exit_code: exitCode });
  return exitCode;
}

/** What `work` gives, or undefined when the signal aborts first. */
async function untilStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  const stopped = Promise.withResolvers<undefined>();
  const stop = (): void => stopped.resolve(undefined);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  return await Promise.race([work, stopped.promise]).finally(() => signal.removeEventListener("abort", stop));
}

/** A start that was told to stop may still succeed: then its service is closed, too. */
async function closeAll(
  starting: Promise<RunningService> | undefined,
  statusServer: StatusServer | undefined,
  tracer: Tracer,
): Promise<void> {
  const service = await starting?.catch(() => undefined); // why it failed was logged
  await service?.close();
  await statusServer?.close();
  await tracer.close();
}

function stopSignal(log: Logger): AbortSignal {
  const stopping = new AbortController();
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping.signal.aborted) {
      log.warn("told to stop again, exiting at once", { signal });
      process.exit(1);
    }
    log.info("told to stop", { signal });
    stopping.abort();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  return stopping.signal;
}

function exitOnBug(log: Logger): void {
  // Unhandled rejections arrive here as well; `origin` tells them apart.
  process.on("uncaughtException", (error, origin) => {
    log.error("bug: nobody handled this error", { error, origin });
    process.exit(1);
  });
  process.stderr.on("error", () => {}); // whoever read the log is gone: no reason to end
}
