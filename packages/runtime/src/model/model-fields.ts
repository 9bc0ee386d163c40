// Where models are looked for: the variables of huggingface_hub, same meaning, same defaults.
//
// Source: huggingface_hub, constants.py (as installed beside Dynamo 0.9.1 … 1.6.1).
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { type Environment, field, parseConfig, yesNo } from "../service/config.ts";

const optionalText = z.string().optional();

export const modelFields = {
  hubEndpoint: field(z.url({ protocol: /^https?$/ }).default("https://huggingface.co"), { env: "HF_ENDPOINT", help: "the model hub" }),
  hubToken: field(optionalText, { env: "HF_TOKEN", secret: true, help: "login to the hub, for gated models" }),
  hubOffline: field(yesNo.default(false), { env: "HF_HUB_OFFLINE", help: "never ask the hub" }),
  hubCache: field(optionalText, { env: "HF_HUB_CACHE", help: "folder of downloaded models (default: hub in HF_HOME)" }),
  hubHome: field(optionalText, { env: "HF_HOME", help: "home of the hub's caches (default: huggingface in XDG_CACHE_HOME or ~/.cache)" }),
  cacheHome: field(optionalText, { env: "XDG_CACHE_HOME", help: "home of caches" }),
};

export interface HubOptions {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token?: string;
  readonly offline: boolean;
  readonly cacheFolder: string;
}

/** @throws AppError `configuration` */
export function hubOptionsOf(environment: Environment): HubOptions {
  const config = parseConfig(modelFields, [], environment);
  const hubHome = config.hubHome ?? join(config.cacheHome ?? join(homedir(), ".cache"), "huggingface");
  return {
    endpoint: config.hubEndpoint.replace(/\/+$/, ""),
    ...(config.hubToken !== undefined && { token: config.hubToken }),
    offline: config.hubOffline,
    cacheFolder: config.hubCache ?? join(hubHome, "hub"),
  };
}
