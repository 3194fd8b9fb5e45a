/** What the demo prints, and what it reads of the agent's page for that. */
import type { Agent } from "../../../test/harness/agent.ts";
import { waitFor } from "../../../test/harness/wait.ts";

let isHushed = false;

export function print(text: string): void {
  if (!isHushed) process.stdout.write(`${text}\n`);
}

/** Prints this as the last thing: what is under way when the demo is interrupted has nothing more to say. */
export function printLast(text: string): void {
  print(text);
  isHushed = true;
}

/** Lines below a heading. */
export const listed = (lines: readonly string[]): string => lines.map((line) => `  ${line}`).join("\n");

/**
 * The page once these instances have collected, later than now where they have before.
 * @throws {Error} They have not within a minute; with the agent's log.
 */
export function collectedPage(agent: Agent, instances: readonly string[]): Promise<string> {
  const askedAt = Date.now() / 1000;
  const collected = async () => {
    const metrics = await agent.scrape();
    return instances.every((name) => collectedAt(metrics, name) > askedAt) && metrics;
  };
  return waitFor("the first collection", collected, 60_000).catch((cause) => {
    throw new Error(`Nothing was collected; the agent said:\n${agent.stderr.slice(-20).join("\n")}`, { cause });
  });
}

/** Unix seconds of the instance's last success; 0 before the first. */
function collectedAt(metrics: string, name: string): number {
  const sample = `\nholdfast_collect_last_success_timestamp_seconds{name="${name}"} `;
  const start = metrics.indexOf(sample);
  return start === -1 ? 0 : Number.parseFloat(metrics.slice(start + sample.length));
}

/** The samples that match, in the order of the patterns. */
export function taste(metrics: string, patterns: readonly RegExp[]): string[] {
  const lines = metrics.split("\n");
  return patterns.flatMap((pattern) => lines.filter((line) => pattern.test(line)));
}

export function countSeries(metrics: string): number {
  return metrics.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
}
