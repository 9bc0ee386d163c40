// Ends the process groups this process started, however this process ends.
//
//   this process ──stdin──► guard (sh)        lines: "+ 4711" a group was started, "- 4711" it is gone
//        ╳  killed -9       └─ end of file ──► kill -s KILL -- -4711
//
// Children in a group of their own survive a killed parent, and an exit handler does not run on SIGKILL. The end of a
// pipe is told in every case, so a tiny shell waits for it. It has its own session: a Ctrl-C in the terminal misses it.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";

const guardScript = `
groups=
while read -r sign group; do
  rest=
  for each in $groups; do [ "$each" = "$group" ] || rest="$rest $each"; done
  groups=$rest
  [ "$sign" = + ] && groups="$groups $group"
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
`;

let guard: ChildProcessByStdio<Writable, null, null> | undefined;

/** Has the group killed when this process is gone. Call it right after the group's leader was started. */
export function guardGroup(groupId: number): void {
  tell(`+ ${groupId}\n`);
}

/** Forgets a group that ended; its id may belong to a stranger by the time this process ends. */
export function releaseGroup(groupId: number): void {
  tell(`- ${groupId}\n`);
}

function tell(line: string): void {
  guard ??= startGuard();
  guard.stdin.write(line);
}

function startGuard(): ChildProcessByStdio<Writable, null, null> {
  const child = spawn("/bin/sh", ["-c", guardScript], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  child.unref();
  (child.stdin as Socket).unref();
  child.stdin.on("error", () => {
    guard = undefined; // someone killed the guard: the next group gets a new one
  });
  return child;
}
