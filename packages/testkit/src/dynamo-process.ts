// Starts one process of a real Dynamo release: its interpreter, its environment, its end.
//
// I1  Nothing of the user's reaches the process, and it leaves nothing with him: HOME lies in the stack's own folder
//     (frontends >= 1.4 copy the files of every card to $HOME/.cache/dynamo), the hub is off.
// I2  The process group ends with the stack, at the latest with the test process.
import { join } from "node:path";
import { type Child, startChild } from "@mm-router/cli/infra";
import type { Release } from "./dynamo-release.ts";
import { ensureRelease } from "./dynamo-venv.ts";
import { keepForReport } from "./failure-report.ts";

export type RequestPlane = "nats" | "tcp";

/** `unset`: what each process does when nobody says. */
export type EventPlane = "nats" | "zmq" | "unset";

/** Where processes find each other. Processes that share a place and a model form one system. */
export interface Place {
  readonly natsUrl: string;
  readonly etcdUrl: string;
  readonly namespace: string;
  readonly requestPlane: RequestPlane;
  readonly eventPlane: EventPlane;
  /** Folder of the stack: logs, HOME of its processes; removed with it. */
  readonly directory: string;
}

export interface StartedProcess extends AsyncDisposable {
  readonly child: Child;
  /** SIGKILL to the whole group; resolves when the process is gone. */
  kill(): Promise<void>;
}

export interface HttpFrontend extends StartedProcess {
  /** `http://127.0.0.1:port`, without a slash. */
  readonly url: string;
}

export interface InterpreterOptions {
  readonly name: string;
  /** Arguments of the interpreter: `-m module …` or a script. */
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly onLine?: (line: string) => void;
}

export interface PythonOptions extends InterpreterOptions {
  readonly release: Release;
}

/** Starts the release's Python in a place; does not wait for anything. */
export async function startPython(place: Place, { release, name, ...options }: PythonOptions): Promise<StartedProcess> {
  const python = await ensureRelease(release, (line) => console.info(`testkit: ${line}`));
  return startInterpreter(place, python, { name: `${name} ${release}`, ...options });
}

/** The same with the Python of another environment. */
export function startInterpreter(place: Place, python: string, options: InterpreterOptions): StartedProcess {
  const { name, args, onLine } = options;
  const environment = { ...environmentOf(place), ...options.environment };
  return startedProcess(startChild({ name, command: python, args, environment, ...(onLine && { onLine }) }));
}

/** Keeps the child for failure reports and ends it with its owner. */
export function startedProcess(child: Child): StartedProcess {
  const kill = async (): Promise<void> => {
    child.signalGroup("SIGKILL");
    await child.exit;
  };
  return keepForReport({ child, kill, [Symbol.asyncDispose]: kill });
}

/** Variables that say to any process, Dynamo's or ours, where the others are. */
export function addressesOf(place: Place): Record<string, string> {
  return {
    NATS_SERVER: place.natsUrl,
    ETCD_ENDPOINTS: place.etcdUrl,
    DYN_NAMESPACE: place.namespace,
    DYN_REQUEST_PLANE: place.requestPlane,
    ...(place.eventPlane !== "unset" && { DYN_EVENT_PLANE: place.eventPlane }),
    DYN_MM_ALLOW_INTERNAL: "1", // images come from this machine
  };
}

function environmentOf(place: Place): Record<string, string> {
  return {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    HOME: join(place.directory, "home"),
    PYTHONUNBUFFERED: "1",
    HF_HUB_OFFLINE: "1",
    DYN_LOG: "info",
    // A 1.6.1 frontend on 2 cores hangs for good when models register at once and it has one thread per core.
    DYN_RUNTIME_NUM_WORKER_THREADS: "8",
    DYN_RUNTIME_MAX_BLOCKING_THREADS: "64",
    ...addressesOf(place),
  };
}
