// Models that the tools are asked about, each read once in a run.
import { type ImageModel, readImageModel } from "@mm-router/mm-router";
import { resolveModel } from "@mm-router/runtime";

export interface ImageModels {
  /** @param nameOrPath model folder or hub id. @throws AppError `configuration`, `dependency_unreachable` */
  get(nameOrPath: string): Promise<ImageModel>;
}

export function imageModels(): ImageModels {
  const models = new Map<string, Promise<ImageModel>>();
  return {
    get(nameOrPath) {
      const model = models.get(nameOrPath) ?? read(nameOrPath);
      models.set(nameOrPath, model);
      return model;
    },
  };
}

async function read(nameOrPath: string): Promise<ImageModel> {
  const { path } = await resolveModel(nameOrPath, { environment: process.env });
  return readImageModel(path);
}
