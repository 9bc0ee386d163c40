// When V8 compiles.
//
// A routed request is thousands of short functions, each run once or twice, so that with V8's own thresholds a router of average load runs
// for minutes in interpreter and baseline code: a quarter of its CPU (bench/routed-request). They are lowered when it begins to serve: at a
// start most functions run a few times, and compiling them would only take longer.
import { setFlagsFromString } from "node:v8";

/** Calls after which V8 compiles a function; its own: 400 and 3 000 (V8 13.6). */
const thresholds = ["--invocation-count-for-maglev=100", "--invocation-count-for-turbofan=600"];

export function compileSooner(): void {
  for (const flag of thresholds) setFlagsFromString(flag);
}
