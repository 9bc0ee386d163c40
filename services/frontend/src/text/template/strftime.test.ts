import { beforeAll, describe, expect, it } from "vitest";
import { formatTime } from "./strftime.ts";

beforeAll(() => {
  process.env["TZ"] = "UTC";
});

describe("strftime", () => {
  it("writes a time as a running 1.6.1 did at that time", () => {
    const time = new Date(1_795_254_095_267);
    expect(formatTime(time, "%e %-d %B %b %A %a %p %I %j %Z %z %s %T %D %F %R %y %C %u %w %U %W %G %V")).toBe(
      "21 21 November Nov Saturday Sat AM 09 325 +00:00 +0000 1795254095 09:41:35 11/21/26 2026-11-21 09:41 26 20 6 6 46 46 2026 47",
    );
    expect(formatTime(time, "%n%t%% %c %x %X %h %k %l %P %r %v %3f %.3f")).toBe(
      "\n\t% Sat Nov 21 09:41:35 2026 11/21/26 09:41:35 Nov  9  9 am 09:41:35 AM 21-Nov-2026 267 .267",
    );
  });

  it.each([
    ["2024-12-30", "2025 01", "365"],
    ["2021-01-03", "2020 53", "003"],
    ["2024-02-29", "2024 09", "060"],
    ["2027-01-01", "2026 53", "001"],
  ])("knows the week and day of %s", (date, week, day) => {
    expect(formatTime(new Date(`${date}T12:00:00Z`), "%G %V|%j")).toBe(`${week}|${day}`);
  });

  it.each(["%Q", "%", "%-A", "%:x"])("refuses %j", (format) => {
    expect(() => formatTime(new Date(0), format)).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });
});
