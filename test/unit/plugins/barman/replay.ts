/** An instance of the plugin on recordings. */
import { testPlugin } from "holdfast";
import barman from "../../../../plugins/barman/index.ts";
import { type ReplayOptions, type Reply, replayRun } from "../../../harness/barman-replay.ts";
import { type Page, readPage } from "./page.ts";

/** The moment of most recordings, in Unix milliseconds. */
export const start = 1795248000_000;

/** Scenarios, single replies and the clock can be changed between collections. */
export async function replay(options: ReplayOptions = {}, config: unknown = {}) {
  const state = {
    options,
    now: start,
    answer: undefined as ((line: string) => Partial<Reply> | undefined) | undefined,
  };
  const run = replayRun(
    () => state.options,
    (line) => state.answer?.(line),
  );
  const plugin = await testPlugin(barman, { config, run, now: () => state.now });
  const collect = async (afterSeconds = 0) => {
    state.now += afterSeconds * 1000;
    run.calls.length = 0;
    return readPage(await plugin.collect());
  };
  return { state, run, plugin, collect };
}

/** Failures by command and reason, where there are any. */
export const failures = (page: Page) =>
  Object.fromEntries(
    Object.entries(page.of("barman_exporter_command_failures_total")).filter(([, count]) => count > 0),
  );
