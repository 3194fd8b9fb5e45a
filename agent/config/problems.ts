/** Problems of the configuration as people read them. */
import type { Place, Problem } from "./config.ts";

/** One line: `holdfast.yml:12:15: Cannot read …`. A place without a line (a missing file, a flag) is its name alone. */
export function formatProblem(problem: Problem): string {
  return `${formatPlace(problem)}: ${problem.message}`;
}

/** `holdfast.yml:12:15`, or the name alone where there is no line. */
export function formatPlace({ file, line, column }: Place): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}

/** Problems in the order of files, lines and columns, each once. */
export function sortProblems(problems: Iterable<Problem>): Problem[] {
  const once = new Map<string, Problem>();
  for (const problem of problems) once.set(formatProblem(problem), problem);
  return [...once.values()].sort(
    (a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column || compare(a.message, b.message),
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
