export * from "./card-file.ts";
export { modelFields } from "./model-fields.ts";
export * from "./resolve-model.ts";
