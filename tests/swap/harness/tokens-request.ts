// A request as a frontend sends it to a Tokens worker, with all members that some release insists on.

/** 96 consecutive token ids, three full blocks, from `firstToken` on: choose one that no other test uses. */
export function tokensRequest(firstToken: number, stopConditions: object = { max_tokens: 6 }): object {
  return {
    model: "model__internal",
    token_ids: Array.from({ length: 96 }, (_, at) => firstToken + at),
    stop_conditions: stopConditions,
    sampling_options: { temperature: 0 },
    output_options: {},
    eos_token_ids: [],
    annotations: [],
  };
}
