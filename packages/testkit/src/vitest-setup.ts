// Loaded into every test file that starts processes: after a failed test their last lines go to the output.
import { afterEach } from "vitest";
import { failureReport } from "./failure-report.ts";

afterEach(({ task }) => {
  if (task.result?.state !== "fail") return;
  const report = failureReport();
  if (report !== "") process.stderr.write(`${report}\n`);
});
