import { mixedCell } from "../harness/cell.ts";

await mixedCell("1.6.1", "1.0.2", "nats");
