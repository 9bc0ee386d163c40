// mm-router: a Dynamo worker in front of Dynamo workers. Routes each request to the worker that holds most of its prefix,
// images included.
import { packageVersion, runService } from "@mm-router/runtime";
import { routerFields } from "./config.ts";
import { createRouter } from "./service.ts";

/** `mmr mm-router`. @param argv arguments after the command's name */
export function run(argv: readonly string[]): Promise<never> {
  return runService({
    name: "mm-router",
    version: packageVersion(import.meta.dirname),
    argv,
    fields: routerFields,
    create: (config, deps) => createRouter(config, { ...deps, environment: process.env }),
  });
}
