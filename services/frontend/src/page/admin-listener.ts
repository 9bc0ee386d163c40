// The admin listener: the page, and the chats of its playground, on a port of their own that by default only this machine reaches.
//
//   GET  /, /page/…                 page-routes.ts
//   POST the path of chats          as on the HTTP port: the playground is a client like any other
//
// I1  On a loopback address only literal addresses and localhost are hosts: a name of somebody's site that resolves to this machine
//     (DNS rebinding) gets no answer.
import { once } from "node:events";
import type { Server } from "node:http";
import { type AddressInfo, BlockList, isIP } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { AppError } from "@mm-router/protocol";
import { type Context, Hono, type Next } from "hono";
import { type InferenceDeps, type InferenceRoute, serveInference } from "../http/inference.ts";
import { type PageDeps, type PageEnv, pageRoutes, sameSiteOnly } from "./page-routes.ts";

export interface AdminDeps extends PageDeps {
  readonly inference: InferenceDeps;
  readonly chat: { readonly path: string; readonly route: InferenceRoute };
}

export interface AdminListenerOptions {
  readonly host: string;
  /** undefined: the usual one, or any free one when that is taken. */
  readonly port: number | undefined;
}

export interface AdminListener {
  readonly port: number;
  close(): void;
}

const usualPort = 8001;
/** People with browsers, not clients. */
const connectionsMax = 128;

/** @throws AppError `configuration` when the port that was asked for cannot be had */
export async function openAdminListener({ host, port }: AdminListenerOptions, deps: AdminDeps): Promise<AdminListener> {
  const server = createAdaptorServer({ fetch: adminApp(deps, isLoopback(host)).fetch }) as Server;
  server.maxConnections = connectionsMax;
  try {
    if (!(await listens(server, host, port ?? usualPort)) && (port !== undefined || !(await listens(server, host, 0))))
      throw new AppError("configuration", `admin port ${host}:${port} is in use by another process: choose another --admin-port`);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("configuration", `admin port ${host}:${port ?? usualPort} cannot be listened on`, { cause });
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

export function adminApp({ inference, chat, ...page }: AdminDeps, isLocal: boolean): Hono<PageEnv> {
  const app = new Hono<PageEnv>();
  if (isLocal) app.use(localHostsOnly);
  app.use(chat.path, sameSiteOnly);
  app.post(chat.path, async ({ env }) => {
    await serveInference(env.incoming, env.outgoing, chat.route, inference);
    return RESPONSE_ALREADY_SENT;
  });
  return app.route("/", pageRoutes(page));
}

async function localHostsOnly(context: Context<PageEnv>, next: Next): Promise<Response | void> {
  const { hostname } = new URL(context.req.url);
  const name = hostname.replace(/^\[|\]$/g, "");
  if (isIP(name) === 0 && name !== "localhost" && !name.endsWith(".localhost")) return context.text("unknown host", 421);
  return next();
}

function isLoopback(host: string): boolean {
  const local = new BlockList();
  local.addSubnet("127.0.0.0", 8, "ipv4");
  local.addAddress("::1", "ipv6");
  const family = isIP(host);
  return host === "localhost" || (family !== 0 && local.check(host, family === 6 ? "ipv6" : "ipv4"));
}

/** Whether the port could be had; it may be somebody else's. */
async function listens(server: Server, host: string, port: number): Promise<boolean> {
  server.listen(port, host);
  try {
    await once(server, "listening");
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
}
