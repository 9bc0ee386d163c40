import { type LosslessJson, stringifyJsonLossless } from "@mm-router/protocol";
import { describe, expect, it } from "vitest";
import { agentSession, sessionMembers } from "./agent-session.ts";

const messages: LosslessJson[] = [new Map([["role", "user"]])];
const told = (headers: Record<string, string>) =>
  JSON.parse(stringifyJsonLossless(sessionMembers(agentSession(headers), messages))) as unknown;

// Expected values: what the real frontend 1.6.1 told its worker.
describe("the session of a request", () => {
  it("is named by the gateway before the agent, and told with the agent's own headers", () => {
    const headers = {
      "x-dynamo-session-id": "d",
      "x-dynamo-session-final": "YES",
      "thread-id": "t",
      "session-id": "u",
      "x-codex-b": "2",
      "x-claude-code-a": "1",
    };
    expect(told(headers)).toEqual({
      agent_context: {
        session_id: "d",
        session_final: true,
        agent_headers: { "session-id": ["u"], "thread-id": ["t"], "x-claude-code-a": ["1"], "x-codex-b": ["2"] },
        input_trigger: "user_message",
      },
      image_cache_scope: "d",
    });
  });

  it("leaves a session-id out that is no Codex's", () => {
    expect(agentSession({ "x-session-id": "x", "session-id": "u", "thread-id": "" })?.headers).toEqual([
      ["thread-id", ""],
      ["x-session-id", "x"],
    ]);
  });

  it("of an agent within a session is below that, or below the agent that called it", () => {
    const agent = { "x-claude-code-session-id": "s", "x-claude-code-agent-id": "a" };
    expect(agentSession(agent)).toMatchObject({ id: "a", parent: "s" });
    expect(agentSession({ ...agent, "x-claude-code-parent-agent-id": "b" })).toMatchObject({ id: "a", parent: "b" });
    expect(agentSession({ "x-claude-code-session-id": "s", "x-claude-code-parent-agent-id": "b" })).toMatchObject({
      id: "s",
      parent: undefined,
    });
  });

  it("is not there where its header is empty or not ASCII, and is not its own parent", () => {
    expect(
      told({ "x-dynamo-session-id": " ", "x-session-id": "é", "x-claude-code-agent-id": "a", "x-dynamo-parent-session-id": "p" }),
    ).toEqual({});
    expect(agentSession({ "x-dynamo-session-id": "a", "x-dynamo-parent-session-id": "a" })?.parent).toBeUndefined();
  });

  it("says what made it ask", () => {
    const trigger = (turns: LosslessJson[] | undefined) => {
      const context = sessionMembers(agentSession({ "x-session-id": "x" }), turns).get("agent_context") as Map<string, LosslessJson>;
      return context.get("input_trigger");
    };
    const turn = (role: string): LosslessJson => new Map([["role", role]]);
    const roles = ["user", "tool", "function", "assistant", "system", "developer"];
    expect(roles.map((role) => trigger([turn("user"), turn(role)]))).toEqual([
      "user_message",
      "tool_result",
      "tool_result",
      "other",
      "other",
      "other",
    ]);
    expect(trigger(undefined)).toBe("other");
  });
});
