// Flags of the tools that look at a running system: where it is, and whose mm-router.
import { field, runtimeFields } from "@mm-router/runtime";
import { z } from "zod";

export const placeFields = {
  ...runtimeFields,
  namespace: field(z.string().default("default"), {
    flag: "namespace",
    env: ["NAMESPACE", "DYN_NAMESPACE"],
    help: "Dynamo namespace to look at",
  }),
  component: field(z.string().default("mm_router"), { flag: "component", help: "component of mm-router" }),
};
