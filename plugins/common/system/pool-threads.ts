/**
 * The threads on which the runtime compresses, derives keys, and reads, writes and syncs files: two for all instances of a machine with two
 * processors. What an archive does there must not hold up those who wait for a commit.
 */
import { readdirSync, readFileSync } from "node:fs";
import { lowerPriority } from "./libc.ts";

const tasks = "/proc/self/task";
const poolName = /^Bun Pool/;
const nice = 10;
const lowered = new Set<string>();

/** Lets them have what other threads leave. The runtime starts them when there is work: to be called again and again. Never throws. */
export function yieldPoolThreads(): void {
  let ids: string[];
  try {
    ids = readdirSync(tasks);
  } catch {
    return;
  }
  for (const id of lowered) if (!ids.includes(id)) lowered.delete(id);
  for (const id of ids) {
    if (lowered.has(id)) continue;
    try {
      if (!poolName.test(readFileSync(`${tasks}/${id}/comm`, "utf8"))) continue;
    } catch {
      // It has just ended.
      continue;
    }
    lowerPriority(Number(id), nice);
    lowered.add(id);
  }
}
