import { swapCell } from "../harness/cell.ts";

await swapCell("1.6.1", "tcp", { withFaults: true });
