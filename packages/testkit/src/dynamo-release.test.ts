import { describe, expect, it } from "vitest";
import { defaultEventPath, releasesUnderTest } from "./dynamo-release.ts";

describe("releasesUnderTest", () => {
  it("meets the newest alone by default, four in CI, all when asked", () => {
    expect(releasesUnderTest({})).toEqual(["1.6.1"]);
    expect(releasesUnderTest({ CI: "true", MMR_TEST_RELEASES: "" })).toEqual(["0.9.1", "1.0.2", "1.4.2", "1.6.1"]);
    expect(releasesUnderTest({ MMR_TEST_RELEASES: "all" })).toHaveLength(6);
  });

  it("takes a list and refuses a release nobody knows", () => {
    expect(releasesUnderTest({ CI: "true", MMR_TEST_RELEASES: "1.5.1, 0.9.1" })).toEqual(["1.5.1", "0.9.1"]);
    expect(() => releasesUnderTest({ MMR_TEST_RELEASES: "1.6" })).toThrow("'1.6' is none of");
  });
});

describe("defaultEventPath", () => {
  it("is JetStream for 0.9.1 alone", () => {
    expect(defaultEventPath("0.9.1")).toBe("jetstream");
    expect(defaultEventPath("1.0.2")).toBe("core");
    expect(defaultEventPath("1.6.1")).toBe("core");
  });
});
