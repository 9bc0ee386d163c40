// Prompts that no other test of a cell uses, each of another length: a worker's engine log names a request by its length.

let used = 0;

/**
 * More than 100 tokens that differ from every other prompt's within their first block.
 * Digits and the repeated word are one token each, so prompt n has n tokens more than prompt 0.
 */
export function uniquePrompt(): string {
  const number = used++;
  return `Number ${String(number).padStart(3, "0")}:${" tree".repeat(100 + number)}`;
}
