// CPU time and memory of another process, from /proc (Linux).
import { readFileSync } from "node:fs";

const ticksPerSecond = 100; // USER_HZ, 100 on every Linux that Node supports

/** CPU milliseconds (user and system) that the process has used so far; steps of 10 ms. */
export function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

/** Resident memory in MiB. */
export const residentMibOf = (pid: number): number => statusMibOf(pid, "VmRSS");

/** The most resident memory so far, in MiB. */
export const peakMibOf = (pid: number): number => statusMibOf(pid, "VmHWM");

function statusMibOf(pid: number, field: string): number {
  const line = readFileSync(`/proc/${pid}/status`, "utf8")
    .split("\n")
    .find((line) => line.startsWith(`${field}:`));
  return Number(/\d+/.exec(line ?? "")?.[0]) / 1024;
}

/** The p-quantile (0 … 1) of measured values. */
export function quantile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))]!;
}
