import { expect, it } from "vitest";
import { streamLimitsOf } from "./config.ts";

const MiB = 1024 * 1024;

it.each([
  ["no worker tells its cache: the setting", 0, 256 * MiB],
  ["small caches: the setting is the least", 10_000, 256 * MiB],
  ["large caches: four turnovers of 128 bytes a block", 2_000_000, 4 * 128 * 2_000_000],
  ["a card that claims anything: 4 GiB", Number.MAX_SAFE_INTEGER, 4096 * MiB],
])("sizes the log of events, %s", (_, poolBlocks, bytesMax) => {
  expect(streamLimitsOf({ streamMbMax: 256, streamAgeMaxS: 60 }, poolBlocks)).toEqual({ bytesMax, ageMaxS: 60 });
});
