/** What a plugin's `check` gave, as plain texts: nobody's compiler has seen it. */
import type { PlainCheckResult } from "./protocol.ts";

/** @throws {TypeError} It is no list of results. */
export function plainCheckResults(value: unknown): PlainCheckResult[] {
  if (!Array.isArray(value))
    throw new TypeError("The plugin's check() gave no list: expected [{ what, problem, notes }]");
  return value.map((result: { what?: unknown; problem?: unknown; notes?: unknown } | null) => {
    const { what, problem, notes } = result ?? {};
    if (typeof what !== "string")
      throw new TypeError("The plugin's check() gave a result without what: expected a text");
    return {
      what,
      problem: problem === undefined || problem === null ? undefined : String(problem),
      notes: Array.isArray(notes) ? notes.map(String) : [],
    };
  });
}
