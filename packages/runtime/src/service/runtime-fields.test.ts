import { describe, expect, it } from "vitest";
import { requestPlaneDefaults } from "../request-plane/request-plane-config.ts";
import { helpText, loggableConfig, parseConfig } from "./config.ts";
import { runtimeConfigOf, runtimeFields } from "./runtime-fields.ts";

const service = { name: "mm-router", version: "0.1.0" };
const configOf = (env: Readonly<Record<string, string>> = {}) => runtimeConfigOf(parseConfig(runtimeFields, [], env), service);

describe("the settings that all services share", () => {
  it("default to local servers, NATS on both planes, and a lease of 10 s", () => {
    expect(configOf()).toEqual({
      etcd: { endpoints: ["http://localhost:2379"], leaseTtlS: 10, connectDeadlineMs: 10_000 },
      nats: { servers: "nats://localhost:4222" },
      requestPlane: { ...requestPlaneDefaults, plane: "nats" },
      service,
    });
    expect(parseConfig(runtimeFields, [], {}).eventPlane).toBe("nats");
  });

  it("take upstream's variables", () => {
    const config = configOf({
      ETCD_ENDPOINTS: "http://a:2379,http://b:2379",
      ETCD_LEASE_TTL: "30",
      NATS_SERVER: "nats://n:4222",
      DYN_REQUEST_PLANE: "tcp",
      DYN_TCP_RPC_HOST: "192.0.2.7",
      DYN_TCP_RPC_PORT: "7001",
      DYN_TCP_RESPONSE_STREAM_PORT: "7002",
      DYN_TCP_REQUEST_TIMEOUT: "2.5",
    });
    expect(config.etcd).toMatchObject({ endpoints: ["http://a:2379", "http://b:2379"], leaseTtlS: 30 });
    expect(config.nats.servers).toBe("nats://n:4222");
    expect(config.requestPlane).toMatchObject({
      plane: "tcp",
      host: "192.0.2.7",
      requestPort: 7001,
      responsePort: 7002,
      ackTimeoutMs: 2500,
    });
  });

  it("log in to etcd only with both name and password, and use TLS only with all three files", () => {
    expect(configOf({ ETCD_AUTH_USERNAME: "u" }).etcd).not.toHaveProperty("login");
    expect(configOf({ ETCD_AUTH_USERNAME: "u", ETCD_AUTH_PASSWORD: "p" }).etcd.login).toEqual({ username: "u", password: "p" });
    expect(configOf({ ETCD_AUTH_CA: "ca", ETCD_AUTH_CLIENT_CERT: "cert" }).etcd).not.toHaveProperty("tls");
    const tls = configOf({ ETCD_AUTH_CA: "ca", ETCD_AUTH_CLIENT_CERT: "cert", ETCD_AUTH_CLIENT_KEY: "key" }).etcd.tls;
    expect(tls).toEqual({ ca: "ca", clientCert: "cert", clientKey: "key" });
  });

  it("hand every NATS login on", () => {
    const env = { NATS_AUTH_TOKEN: "t", NATS_AUTH_NKEY: "SU…", NATS_AUTH_CREDENTIALS_FILE: "/x.creds" };
    expect(configOf(env).nats).toMatchObject({ token: "t", nkeySeed: "SU…", credentialsFile: "/x.creds" });
  });

  it("refuse a request plane that does not exist any more, with a sentence", () => {
    expect(() => configOf({ DYN_REQUEST_PLANE: "http" })).toThrow('DYN_REQUEST_PLANE="http": only nats and tcp are supported');
    expect(() => configOf({ DYN_DISCOVERY_BACKEND: "kubernetes" })).toThrow("only etcd is supported");
  });

  it("keep every secret out of the log", () => {
    const secrets = ["NATS_AUTH_PASSWORD", "NATS_AUTH_TOKEN", "NATS_AUTH_NKEY", "ETCD_AUTH_PASSWORD", "ETCD_AUTH_CLIENT_KEY"];
    const env = Object.fromEntries(secrets.map((name) => [name, "hunter2"]));
    expect(JSON.stringify(loggableConfig(runtimeFields, parseConfig(runtimeFields, [], env)))).not.toContain("hunter2");
  });

  it("say in the help that the planes default to nats, unlike Dynamo's", () => {
    const help = helpText("mmr x", runtimeFields);
    expect(help).toMatch(/DYN_REQUEST_PLANE\n.*Dynamo's own default is tcp.*\(default nats\)/);
  });
});
