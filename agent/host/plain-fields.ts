/** What a plugin hands to `log`, as a message can carry it: JavaScript gives anything, and logging never throws. */
import type { LogFields } from "../sdk/log.ts";

const mostFields = 50;
const longestName = 100;
/** The agent cuts texts at 8 KiB; what is longer need not travel there. */
const longestText = 20_000;

/** The fields as texts, numbers and booleans; what is more than fifty is counted in `left_out`. */
export function plainFields(fields: unknown): LogFields {
  if (typeof fields !== "object" || fields === null) return fields === undefined ? {} : { value: plain(fields) };
  const plainOnes: Record<string, string | number | boolean> = {};
  let names: string[];
  try {
    names = Object.keys(fields);
  } catch {
    return { value: unshowable };
  }
  for (const name of names.slice(0, mostFields)) {
    const value = read(fields, name);
    if (value !== undefined) plainOnes[name.slice(0, longestName)] = plain(value);
  }
  return names.length > mostFields ? { ...plainOnes, left_out: names.length - mostFields } : plainOnes;
}

/** A message as text. */
export function plainMessage(message: unknown): string {
  return String(plain(message));
}

const unshowable = "a value that cannot be shown";

function read(fields: object, name: string): unknown {
  try {
    return (fields as Record<string, unknown>)[name];
  } catch {
    // A getter that throws.
    return unshowable;
  }
}

function plain(value: unknown): string | number | boolean {
  if (typeof value === "number" || typeof value === "boolean") return value;
  try {
    return text(value).slice(0, longestText);
  } catch {
    return unshowable;
  }
}

function text(value: unknown): string {
  if (value instanceof Error) return value.message || value.name;
  // Structures as JSON; what that has no word for (`undefined`, a function, a symbol, 1n) as JavaScript says it.
  return typeof value === "object" && value !== null ? (JSON.stringify(value) ?? String(value)) : String(value);
}
