import type { AgentConfig } from "../config/config.ts";
import type { LoadResult } from "../config/load.ts";
import { Host } from "../host/host.ts";
import { Snapshots } from "../metrics/snapshots.ts";
import { createLog } from "../system/log.ts";
import { endOnStop } from "../system/signals.ts";
import type { Command } from "./command.ts";
import { allProblems, configFlag, overrideFlags, problemsOfUse, readConfig, reportProblems } from "./configuration.ts";

export const command: Command = {
  name: "check",
  summary: "Reads the configuration, loads its plugins and prints every problem.",
  flags: [
    { name: "connect", help: "Also reach what the instances need: servers, archives, folders." },
    configFlag,
    ...overrideFlags,
  ],
  details: `No plugin is set up and nothing is collected.
Exit status: 0 when the agent would run with it, 1 when something that it needs cannot be reached (--connect), 2 when it would
not run.`,
  async run(flags) {
    endOnStop();
    return await checkConfig(await readConfig(flags), { connects: flags.isSet("connect") });
  },
};

/**
 * Says what is wrong with a configuration.
 * @param said Printed when nothing is, instead of the usual line.
 * @returns The exit status.
 */
export async function checkConfig(
  read: LoadResult,
  { connects, said }: { readonly connects: boolean; readonly said?: string },
): Promise<number> {
  const host = new Host({ snapshots: new Snapshots(), createLog, runtimeDir: "", reap: () => true });
  if ("problems" in read) return reportProblems(await allProblems(read, host));
  const problems = await problemsOfUse(read.config, host);
  if (problems.length > 0) return reportProblems(problems);
  const { file, instances } = read.config;
  const usual = `${file}: right, ${instances.length} ${instances.length === 1 ? "instance" : "instances"}`;
  process.stdout.write(`${said ?? usual}\n`);
  return connects ? await connect(read.config, host) : 0;
}

/** For each instance. Storages wait out short outages. */
const connectDeadlineMs = 180_000;

async function connect(config: AgentConfig, host: Host): Promise<number> {
  const prepared = await host.prepare(config);
  if ("problems" in prepared) return reportProblems(prepared.problems);
  let failed = 0;
  for (const { name, results } of await host.check(prepared.plan, connectDeadlineMs)) {
    if (results.length === 0) process.stdout.write(`${name}: its plugin has nothing to connect to\n`);
    for (const { what, problem, notes } of results) {
      process.stdout.write(`${name}: ${what}: ${problem ?? "works"}\n`);
      for (const note of notes) process.stdout.write(`${name}: ${what}: ${note}\n`);
      failed += problem === undefined ? 0 : 1;
    }
  }
  return failed > 0 ? 1 : 0;
}
