/** Timelines and where each left its parent. Source: PostgreSQL, src/backend/access/transam/timeline.c. */
import { parseLsn } from "./lsn.ts";

/** A part of the history of a timeline: `timeline` was written up to `endLsn`, where the next one begins. */
export interface Ancestor {
  readonly timeline: number;
  readonly endLsn: bigint;
}

/** The name of the file that holds a timeline's history; timeline 1 has none. */
export function historyFileName(timeline: number): string {
  return `${timeline.toString(16).toUpperCase().padStart(8, "0")}.history`;
}

/**
 * The ancestors of a timeline, oldest first.
 * @param text Content of its history file: lines of timeline, position and reason; empty lines and comments are left out.
 * @throws {SyntaxError} A line is none of these, or timelines do not grow.
 */
export function parseTimelineHistory(text: string): Ancestor[] {
  const ancestors: Ancestor[] = [];
  for (const line of text.split("\n")) {
    if (/^\s*(#|$)/.test(line)) continue;
    const [, number = "", position = ""] = /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)(?:\s|$)/.exec(line) ?? [];
    const timeline = Number(number);
    const endLsn = parseLsn(position);
    if (endLsn === undefined || timeline < 1)
      throw new SyntaxError(`Cannot read the timeline history: ${JSON.stringify(line)} is no timeline and position`);
    if (timeline <= (ancestors.at(-1)?.timeline ?? 0))
      throw new SyntaxError(`Cannot read the timeline history: timeline ${timeline} does not follow those before it`);
    ancestors.push({ timeline, endLsn });
  }
  return ancestors;
}
