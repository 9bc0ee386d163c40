// Templates and tokenizers that the tools are asked about, each read once in a run.
import { readTextModel, type TextModel } from "@mm-router/frontend";
import { resolveModel } from "@mm-router/runtime";

export interface TextModels {
  /** @param nameOrPath model folder or hub id. @throws AppError `configuration`, `dependency_unreachable` */
  get(nameOrPath: string): Promise<TextModel>;
}

export function textModels(): TextModels {
  const models = new Map<string, Promise<TextModel>>();
  return {
    get(nameOrPath) {
      const model = models.get(nameOrPath) ?? read(nameOrPath);
      models.set(nameOrPath, model);
      return model;
    },
  };
}

async function read(nameOrPath: string): Promise<TextModel> {
  const { path } = await resolveModel(nameOrPath, { environment: process.env });
  return readTextModel(path);
}
