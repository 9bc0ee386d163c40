import { swapCell } from "../harness/cell.ts";

await swapCell("1.2.1", "tcp", { withFaults: true });
