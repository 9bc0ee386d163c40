import { rollingUpgrade } from "../suites/rolling-upgrade.ts";

await rollingUpgrade("1.6.1", { learns: true });
