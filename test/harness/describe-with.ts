/** Tests that need a tool which is missing are skipped, and say why. */
import { describe } from "bun:test";
import { missing, type Tool } from "./available.ts";

/** `describe`, skipped with the reason in its name where a needed tool is missing. */
export function describeWith(needed: readonly Tool[], name: string, tests: () => void): void {
  const reason = missing(...needed);
  if (reason === undefined) describe(name, tests);
  else describe.skip(`${name} (skipped: ${reason})`, tests);
}
