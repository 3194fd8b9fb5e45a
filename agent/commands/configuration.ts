/** What the commands share that read a configuration. */
import type { AgentConfig, Problem } from "../config/config.ts";
import { type LoadResult, loadConfig } from "../config/load.ts";
import { formatProblem, sortProblems } from "../config/problems.ts";
import type { Host } from "../host/host.ts";
import { forTerminal } from "../system/terminal.ts";
import type { Flag, FlagValues } from "./command.ts";

export const defaultConfigFile = "/etc/holdfast/holdfast.yml";

export const configFlag: Flag = {
  name: "config.file",
  short: "c",
  value: "FILE",
  help: `The configuration. Default: ${defaultConfigFile}`,
};

/** Flags that go before what the file says. */
export const overrideFlags: readonly Flag[] = [
  {
    name: "web.listen-address",
    value: "ADDRESS",
    repeatable: true,
    help: "Where to listen, e.g. :9847; may be repeated.",
  },
  { name: "web.config.file", value: "FILE", help: "TLS and users, in the exporter-toolkit's format." },
  { name: "web.max-requests", value: "N", help: "Scrapes answered at once; 0: no limit." },
  { name: "log.level", value: "LEVEL", help: "debug, info, warn or error." },
  { name: "log.format", value: "FORMAT", help: "logfmt or json." },
];

/** Reads the configuration that the flags name. */
export async function readConfig(flags: FlagValues): Promise<LoadResult> {
  const listen = flags.all("web.listen-address");
  return await loadConfig(flags.text("config.file") ?? defaultConfigFile, {
    environment: process.env,
    overrides: {
      listen: listen.length > 0 ? [...listen] : undefined,
      webConfig: flags.text("web.config.file"),
      maxRequests: flags.text("web.max-requests"),
      logLevel: flags.text("log.level"),
      logFormat: flags.text("log.format"),
    },
  });
}

/** The problems of a configuration that cannot be run, those that its plugins find in what could be read among them. */
export async function allProblems(
  { problems, readable }: Extract<LoadResult, { problems: unknown }>,
  host: Host,
): Promise<Problem[]> {
  return readable ? sortProblems([...problems, ...(await problemsOfUse(readable, host))]) : problems;
}

/** What the plugins, and the web config files, find wrong with a configuration that could be read. */
export async function problemsOfUse(config: AgentConfig, host: Host): Promise<Problem[]> {
  const [prepared, ofWebConfigs] = await Promise.all([host.prepare(config), webConfigProblems(config)]);
  if ("problems" in prepared) return sortProblems([...prepared.problems, ...ofWebConfigs]);
  host.abandon(prepared.plan);
  return ofWebConfigs;
}

/** What is wrong with the web config files that a configuration names. */
export async function webConfigProblems({ webConfig, instances }: AgentConfig): Promise<Problem[]> {
  const named = [webConfig, ...instances.map((instance) => instance.webConfig)];
  const problems = [...new Set(named)].map((file) => (file === undefined ? [] : problemsOfWebConfig(file)));
  return sortProblems((await Promise.all(problems)).flat());
}

async function problemsOfWebConfig(file: string): Promise<readonly Problem[]> {
  // Commands that PostgreSQL runs for each segment read a configuration too, and never need it.
  const { loadWebConfig, WebConfigError } = await import("../http/web-config.ts");
  try {
    await loadWebConfig(file);
    return [];
  } catch (error) {
    if (error instanceof WebConfigError) return error.problems;
    throw error;
  }
}

/** Prints problems, one a line, and how many there are. @returns The exit status for them. */
export function reportProblems(problems: readonly Problem[]): number {
  for (const problem of problems) process.stderr.write(`${forTerminal(formatProblem(problem))}\n`);
  process.stderr.write(
    `holdfast: ${problems.length} ${problems.length === 1 ? "problem" : "problems"} in the configuration\n`,
  );
  return 2;
}
