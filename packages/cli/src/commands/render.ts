// `mmr render`: what a worker's model is given for a chat request.
//
//   {"model":DIR|id,"messages":[…],"tools":[…]?,"chat_template_kwargs"?, …}   →   {"prompt":"…","token_ids":[…]}
//
// A line is parsed, checked and rendered as the frontend does it: numbers keep their notation, and what it refuses is an error.
import { renderChat } from "@mm-router/frontend";
import { decodeAs } from "@mm-router/protocol";
import { z } from "zod";
import type { LineCommand } from "../jsonl.ts";
import { textModels } from "../text-models.ts";

export const name = "render";

const schema = z.looseObject({ model: z.string() });

export function createCommand(): LineCommand {
  const models = textModels();
  return async (json, text) => {
    const model = await models.get(decodeAs(schema, json, name).model);
    const { prompt, tokenIds } = await renderChat(text, model);
    return { ...(prompt !== undefined && { prompt }), token_ids: Array.from(tokenIds) };
  };
}
