import { AppError } from "@mm-router/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { decimal, field, helpText, integer, loggableConfig, parseConfig, port, splitPassThrough, textList, yesNo } from "./config.ts";

const fields = {
  httpPort: field(port.default(8000), { flag: "http-port", env: ["HTTP_PORT", "API_PORT"], help: "where HTTP is served" }),
  model: field(z.string(), { flag: "model", env: "MODEL", help: "name or folder of the model" }),
  routerMode: field(z.enum(["round-robin", "random"]).default("round-robin"), { flag: "router-mode", help: "how a worker is chosen" }),
  listInternal: field(yesNo.default(false), { flag: "list-internal", env: "MMR_LIST_INTERNAL", help: "show internal models" }),
  endpoints: field(textList.default(["http://localhost:2379"]), { env: "ETCD_ENDPOINTS", help: "etcd servers" }),
  timeoutS: field(decimal(0).default(2.5), { flag: "timeout", env: "TIMEOUT", unit: "seconds", help: "limit of a call" }),
  password: field(z.string().min(8, "too short").optional(), { env: "PASSWORD", secret: true, help: "login" }),
  blockSize: field(integer(1).optional(), { flag: ["block-size", "kv-block-size"], unit: "tokens", help: "KV block size" }),
};

const parse = (argv: readonly string[], env = {}) => parseConfig(fields, ["--model", "m", ...argv], env);

function refusal(argv: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  try {
    parseConfig(fields, argv, env);
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect((error as AppError).code).toBe("configuration");
    return (error as AppError).message;
  }
  return "accepted";
}

describe("parseConfig", () => {
  it("takes the flag before the environment, the environment before the default", () => {
    expect(parse(["--http-port", "81"], { HTTP_PORT: "82" }).httpPort).toBe(81);
    expect(parse([], { HTTP_PORT: "82" }).httpPort).toBe(82);
    expect(parse([]).httpPort).toBe(8000);
  });

  it("takes the first variable of several that is set, and an empty one for unset", () => {
    expect(parse([], { HTTP_PORT: "1", API_PORT: "2" }).httpPort).toBe(1);
    expect(parse([], { HTTP_PORT: "", API_PORT: "2" }).httpPort).toBe(2);
    expect(parse([], { HTTP_PORT: "", API_PORT: "" }).httpPort).toBe(8000);
    expect(refusal([], { MODEL: "" })).toBe("--model or MODEL is required (name or folder of the model)");
  });

  it("reads `--x v` and `--x=v` alike, the last one given, and a value that looks like a flag after `=`", () => {
    expect(parse(["--http-port=81", "--http-port", "82"]).httpPort).toBe(82);
    expect(parseConfig(fields, ["--model=--odd=name"], {}).model).toBe("--odd=name");
    expect(parse(["--kv-block-size", "16"]).blockSize).toBe(16);
  });

  it("reads yes/no flags without a value, with one, and negated", () => {
    expect(parse(["--list-internal"]).listInternal).toBe(true);
    expect(parse(["--no-list-internal"], { MMR_LIST_INTERNAL: "1" }).listInternal).toBe(false);
    expect(parse(["--list-internal=false"], { MMR_LIST_INTERNAL: "1" }).listInternal).toBe(false);
    expect(parse([], { MMR_LIST_INTERNAL: "yes" }).listInternal).toBe(true);
    expect(refusal(["--model", "m", "--no-list-internal=true"])).toBe("--no-list-internal takes no value");
  });

  it("reads lists without blanks and empty items", () => {
    expect(parse([], { ETCD_ENDPOINTS: " http://a:1, http://b:2,," }).endpoints).toEqual(["http://a:1", "http://b:2"]);
  });

  it("leaves an optional setting undefined", () => {
    expect(parse([]).blockSize).toBeUndefined();
  });

  it("gives an object that nobody can change", () => {
    expect(Object.isFrozen(parse([]))).toBe(true);
  });

  it("names the nearest flag for an unknown one", () => {
    expect(refusal(["--htp-port", "1"])).toBe("unknown flag --htp-port, did you mean --http-port?");
    expect(refusal(["--no-list-interal"])).toBe("unknown flag --no-list-interal, did you mean --no-list-internal?");
    expect(refusal(["--quantum"])).toBe("unknown flag --quantum; see --help");
  });

  it("says what stands where it must not, or is missing", () => {
    expect(refusal(["qwen"])).toBe('unexpected argument "qwen"');
    expect(refusal(["--model"])).toBe("--model needs a value");
  });

  it("tells every wrong setting at once, by the name the user wrote", () => {
    const message = refusal(["--http-port", "70000"], { TIMEOUT: "soon" });
    expect(message).toContain('--http-port="70000"');
    expect(message).toContain('TIMEOUT="soon": not a number');
    expect(message).toContain("--model or MODEL is required");
  });

  it("does not repeat a secret that is wrong", () => {
    expect(refusal(["--model", "m"], { PASSWORD: "hunter2" })).toBe("PASSWORD: too short");
  });

  it("accepts as integers and decimals what they are, and nothing that JavaScript would make of it", () => {
    const accepts = (schema: z.ZodType, text: string) => schema.safeParse(text).success;
    expect(["0", "42", "-1", "007"].map((text) => accepts(integer(-1), text))).toEqual([true, true, true, true]);
    expect(["", " 1", "1.0", "0x10", "1e3", "-2", "9007199254740993"].map((text) => accepts(integer(-1), text))).toEqual(
      Array(7).fill(false),
    );
    expect(["1", "2.5", ".5", "1e3"].map((text) => accepts(decimal(0), text))).toEqual([true, true, true, true]);
    expect(["", "Infinity", "NaN", "0x10", "-1", "1,5"].map((text) => accepts(decimal(0), text))).toEqual(Array(6).fill(false));
  });

  it("never does anything but give a config or an AppError `configuration`, whatever stands on the command line", () => {
    const word = fc.oneof(fc.string(), fc.constantFrom("--model", "--http-port", "--list-internal", "--no-list-internal=", "--", "--="));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (argv) => {
        refusal(argv); // its own expectations are the test
      }),
    );
  });
});

describe("helpText", () => {
  it("shows of every field its flags, variables, unit, default, purpose, and whether it must be given", () => {
    const help = helpText("mmr frontend [flags]", fields);
    expect(help).toContain("Usage: mmr frontend [flags]");
    expect(help).toContain("--http-port, HTTP_PORT, API_PORT\n      where HTTP is served (default 8000)");
    expect(help).toContain("--model, MODEL\n      name or folder of the model (required)");
    expect(help).toContain("--timeout, TIMEOUT\n      limit of a call (seconds, default 2.5)");
    expect(help).toContain("ETCD_ENDPOINTS\n      etcd servers (default http://localhost:2379)");
    expect(help).toContain("--block-size, --kv-block-size\n      KV block size (tokens)");
  });
});

describe("loggableConfig", () => {
  it("hides secrets that are set, shows the rest, leaves out what is not set", () => {
    const shown = loggableConfig(fields, parse([], { PASSWORD: "correct horse" }));
    expect(shown).toMatchObject({ password: "[redacted]", httpPort: 8000 });
    expect(shown).not.toHaveProperty("blockSize");
  });
});

describe("splitPassThrough", () => {
  it("parts the command line at the first lone --", () => {
    expect(splitPassThrough(["--a", "--", "--b", "--", "c"])).toEqual({ own: ["--a"], passThrough: ["--b", "--", "c"] });
    expect(splitPassThrough(["--a"])).toEqual({ own: ["--a"], passThrough: [] });
  });
});
