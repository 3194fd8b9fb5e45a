import type { AgentConfig } from "../config/config.ts";
import { nearest } from "../config/suggestions.ts";
import { messageOf } from "../host/failures.ts";
import { Host, type Plan } from "../host/host.ts";
import { withRuntimeDir } from "../host/runtime-dir.ts";
import { lastCollections, type OwnInstance, ownText } from "../metrics/own.ts";
import { restorableFamilies } from "../metrics/restorable.ts";
import { Snapshots } from "../metrics/snapshots.ts";
import { divertStdout, reap } from "../system/libc.ts";
import { configureLog, createLog } from "../system/log.ts";
import { onStop } from "../system/signals.ts";
import type { ReadConfig } from "./agent.ts";
import { type Command, UsageError } from "./command.ts";
import { configFlag, overrideFlags, readConfig, reportProblems } from "./configuration.ts";
import { ownInstance } from "./own-instance.ts";

export const command: Command = {
  name: "collect",
  summary: "Runs one instance once and prints its metrics.",
  operands: { usage: "NAME | --all", least: 0, most: 1 },
  flags: [
    { name: "all", help: "Run every instance, for node_exporter's textfile collector; adds how each collection went." },
    configFlag,
    ...overrideFlags,
  ],
  details:
    "The metrics go to stdout, all else to stderr. Exit status 1 when a collection failed; what others collected is still printed.",
  async run(flags, [name]) {
    if ((name === undefined) !== flags.isSet("all")) throw new UsageError("Expected: holdfast collect NAME, or --all");
    return await collectFrom(() => readConfig(flags), name);
  },
};

/** Prints what one instance, or every one, collects. @returns The exit status. */
export async function collectFrom(readConfig: ReadConfig, name: string | undefined): Promise<number> {
  const print = divertStdout();
  const read = await readConfig();
  if ("problems" in read) return reportProblems(read.problems);
  configureLog(read.config.log);
  const config = name === undefined ? read.config : only(read.config, name);
  return await withRuntimeDir(async (runtimeDir) => {
    const snapshots = new Snapshots();
    const host = new Host({ snapshots, createLog, runtimeDir, reap });
    const prepared = await host.prepare(config, { tolerant: true });
    if ("problems" in prepared) return reportProblems(prepared.problems);
    const status = await collectOnce(host, prepared.plan);
    print(new TextDecoder().decode(snapshots.page(undefined)));
    // A textfile in which an instance's series are merely missing would alarm nobody.
    if (name === undefined) print(ownLines(host.instances.map(ownInstance)));
    return status;
  });
}

function ownLines(instances: readonly OwnInstance[]): string {
  const claims = instances.flatMap(({ restorable }) => restorable);
  return ownText([...lastCollections(instances), ...restorableFamilies(claims)]);
}

/** @throws {UsageError} There is no such instance. */
function only(config: AgentConfig, name: string): AgentConfig {
  const instances = config.instances.filter((instance) => instance.name === name);
  if (instances.length > 0) return { ...config, instances };
  const known = config.instances.map((instance) => instance.name);
  const hint = nearest(name, known);
  const meant = hint === undefined ? "" : `; did you mean ${JSON.stringify(hint)}?`;
  throw new UsageError(
    `No instance ${JSON.stringify(name)} in ${config.file}: it has ${known.join(", ") || "none"}${meant}`,
  );
}

async function collectOnce(host: Host, plan: Plan): Promise<number> {
  await host.apply(plan);
  onStop(() => void host.stop().then(() => process.exit(1)));
  const results = await Promise.all(host.instances.map((instance) => instance.firstCollection));
  await host.stop();
  for (const [index, failure] of results.entries()) {
    const name = host.instances[index]?.config.name;
    if (failure)
      process.stderr.write(`holdfast: Cannot collect ${name}: ${failure.reason}: ${messageOf(failure.message)}\n`);
  }
  return results.every((failure) => failure === undefined) ? 0 : 1;
}
