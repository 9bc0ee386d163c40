import { swapCell } from "../harness/cell.ts";

await swapCell("1.4.2", "nats", { withFaults: false });
