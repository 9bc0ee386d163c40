import { swapCell } from "../harness/cell.ts";

await swapCell("1.0.2", "nats", { withFaults: false });
