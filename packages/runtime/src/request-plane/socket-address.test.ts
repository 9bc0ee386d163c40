import { isIP } from "node:net";
import { AppError } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { ownHost, parseSocketAddress, socketAddressText } from "./socket-address.ts";

describe("socket addresses", () => {
  it("read and write IPv4 and bracketed IPv6", () => {
    for (const text of ["192.0.2.2:36611", "[::1]:80", "[2001:db8::7]:65535"])
      expect(socketAddressText(parseSocketAddress(text))).toBe(text);
  });

  it("refuse names, missing or impossible ports, and IPv6 without brackets", () => {
    for (const text of ["", "localhost:80", "192.0.2.2", "192.0.2.2:", "192.0.2.2:0", "192.0.2.2:65536", "::1:80", "[192.0.2.2:80"]) {
      expect(() => parseSocketAddress(text), text).toThrow(AppError);
    }
  });
});

describe("ownHost", () => {
  it("takes the configured IP address and refuses a name", () => {
    expect(ownHost("10.1.2.3")).toBe("10.1.2.3");
    expect(() => ownHost("worker-1")).toThrow(/DYN_TCP_RPC_HOST/);
  });

  it("is an IPv4 address when nothing is configured", () => {
    expect(isIP(ownHost(undefined))).toBe(4);
  });
});
