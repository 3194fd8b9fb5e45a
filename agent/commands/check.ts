import { Host } from "../host/host.ts";
import { Snapshots } from "../metrics/snapshots.ts";
import { createLog } from "../system/log.ts";
import { endOnStop } from "../system/signals.ts";
import type { Command } from "./command.ts";
import { allProblems, configFlag, overrideFlags, problemsOfUse, readConfig, reportProblems } from "./configuration.ts";

export const command: Command = {
  name: "check",
  summary: "Reads the configuration, loads its plugins and prints every problem.",
  flags: [configFlag, ...overrideFlags],
  details: "Exit status 0 when the agent would run with it, 2 when not. No plugin is set up and nothing is collected.",
  async run(flags) {
    endOnStop();
    const read = await readConfig(flags);
    const host = new Host({ snapshots: new Snapshots(), createLog, runtimeDir: "", reap: () => true });
    if ("problems" in read) return reportProblems(await allProblems(read, host));
    const problems = await problemsOfUse(read.config, host);
    if (problems.length > 0) return reportProblems(problems);
    const { file, instances } = read.config;
    process.stdout.write(`${file}: right, ${instances.length} ${instances.length === 1 ? "instance" : "instances"}\n`);
    return 0;
  },
};
