import { swapCell } from "../harness/cell.ts";

await swapCell("1.5.1", "nats", { withFaults: false });
