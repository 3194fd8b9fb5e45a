/** What a plugin's `status()` gives, as a message can carry it and a page can show it: it may be anything, or throw. */
import type { PluginInstance } from "../sdk/plugin.ts";
import { messageOf } from "./failures.ts";

export interface PlainStatus {
  readonly facts: Readonly<Record<string, string>>;
  readonly problem: string | undefined;
}

const mostFacts = 12;
const longestName = 40;
const longestFact = 200;
const longestProblem = 2_000;

/** Undefined without a `status()`. One that throws, or gives what is no status, is itself the problem. */
export function plainStatus(instance: PluginInstance): PlainStatus | undefined {
  if (instance.status === undefined) return undefined;
  try {
    return plainOf(instance.status());
  } catch (error) {
    return { facts: {}, problem: `The plugin's status() failed: ${messageOf(error)}`.slice(0, longestProblem) };
  }
}

/** A status without the instance's secrets. */
export function redactedStatus(
  status: PlainStatus | undefined,
  redact: (text: string) => string,
): PlainStatus | undefined {
  if (status === undefined) return undefined;
  const facts = Object.entries(status.facts).map(([name, text]) => [name, redact(text)]);
  return { facts: Object.fromEntries(facts), problem: status.problem && redact(status.problem) };
}

/** @throws {TypeError} It is no status. */
function plainOf(given: unknown): PlainStatus {
  // Nobody waits for a promise; its rejection must not end the worker.
  if (given instanceof Promise) given.catch(() => {});
  if (!isRecord(given)) throw new TypeError(`expected { facts, problem }, found ${nameOf(given)}`);
  const { facts = {}, problem } = given;
  if (!isRecord(facts)) throw new TypeError(`expected an object of facts, found ${nameOf(facts)}`);
  if (problem !== undefined && typeof problem !== "string") {
    throw new TypeError(`expected a text as the problem, found ${nameOf(problem)}`);
  }
  const known = Object.entries(facts).filter(([, value]) => value !== undefined && value !== null);
  return {
    facts: Object.fromEntries(
      known
        .slice(0, mostFacts)
        .map(([name, value]) => [name.slice(0, longestName), String(value).slice(0, longestFact)]),
    ),
    problem: problem?.slice(0, longestProblem),
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Promise);
}

function nameOf(value: unknown): string {
  if (value instanceof Promise) return "a promise";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return value === null || value === undefined ? String(value) : `a ${typeof value}`;
}
