import { swapCell } from "../harness/cell.ts";

await swapCell("0.9.1", "nats", { withFaults: false });
