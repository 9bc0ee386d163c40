import { rollingUpgrade } from "../suites/rolling-upgrade.ts";

await rollingUpgrade("1.4.2");
