/** Tests that need a tool which is missing are skipped, and say why. */
import { describe } from "bun:test";
import { missing, type Tool } from "./available.ts";

/** `describe`, skipped with the reason in its name where a needed tool is missing. */
export function describeWith(needed: readonly Tool[], name: string, tests: () => void): void {
  const reason = missing(...needed);
  if (reason === undefined) describe(name, tests);
  else describe.skip(`${name} (skipped: ${reason})`, tests);
}

/** Major versions of PostgreSQL that the tests want; where one is missing, its tests are skipped. */
export const testedPostgresVersions = [15, 16, 17, 18] as const;
export type TestedPostgresVersion = (typeof testedPostgresVersions)[number];

/** {@link describeWith} for each of these versions of PostgreSQL. */
export function describePostgres(
  versions: readonly TestedPostgresVersion[],
  needed: readonly Tool[],
  tests: (version: TestedPostgresVersion) => void,
): void {
  for (const version of versions) {
    describeWith([`postgresql-${version}`, ...needed], `on PostgreSQL ${version}`, () => tests(version));
  }
}
