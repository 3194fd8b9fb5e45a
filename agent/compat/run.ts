/** Does what the command line of a replaced tool asks for. */
import { UsageError } from "../commands/command.ts";
import { loadCommand } from "../commands/index.ts";
import { runCommand } from "../commands/run-command.ts";
import type { LoadResult } from "../config/load.ts";
import { nearest } from "../config/suggestions.ts";
import { messageOf } from "../host/failures.ts";
import { forTerminal } from "../system/terminal.ts";
import { type OriginalName, originalNamed, originalNames, otherNames } from "./names.ts";
import type { Invocation, Plan, Tool, Translation } from "./tool.ts";

/** A tool's module is loaded when it is called: `restore-command` runs for each segment. */
const tools: Readonly<Record<OriginalName, () => Promise<{ tool: Tool }>>> = {
  "walg-exporter": () => import("./walg-exporter.ts"),
  barman_exporter: () => import("./barman-exporter.ts"),
  "barman-exporter": () => import("./barman-predecessor.ts"),
  pgrwl: () => import("./pgrwl.ts"),
  prombackup: () => import("./prombackup.ts"),
  "prombackup-server": () => import("./prombackup-server.ts"),
};

/** Of holdfast's own commands. */
const refusedConfig = 2;

const say = (text: string) => void process.stdout.write(text);
const complain = (text: string) => void process.stderr.write(`${forTerminal(text)}\n`);

/** @param name The tool's, or another name of it. @param args Behind the name. @returns The exit status. Never throws. */
export async function runOriginal(name: string, args: readonly string[]): Promise<number> {
  const original = originalNamed(name);
  if (original === undefined) {
    const hint = nearest(name, [...originalNames, ...Object.keys(otherNames)]);
    const meant = hint === undefined ? "" : `, did you mean ${JSON.stringify(hint)}?`;
    complain(`holdfast as: Unknown tool ${JSON.stringify(name)}${meant}; expected one of ${originalNames.join(", ")}`);
    return 2;
  }
  const { tool } = await tools[original]();
  const { isPrinted, rest } = withoutPrintFlag(args);
  const invocation: Invocation = { args: rest, environment: process.env, cwd: process.cwd() };
  try {
    const plan = await tool.plan(invocation);
    return isPrinted ? await print(tool, plan, args) : await carryOut(tool, plan, invocation);
  } catch (error) {
    const isUsage = error instanceof UsageError;
    // Its message may have a line for each problem.
    complain(`${tool.name}: ${isUsage ? error.message : messageOf(error)}`);
    return isUsage ? tool.exitStatus.usage : tool.exitStatus.failed;
  }
}

/** `--print-config` may stand anywhere before `--`. */
function withoutPrintFlag(args: readonly string[]): { isPrinted: boolean; rest: readonly string[] } {
  const end = args.indexOf("--");
  const isFlag = (arg: string, index: number) =>
    (end < 0 || index < end) && (arg === "--print-config" || arg === "-print-config");
  return { isPrinted: args.some(isFlag), rest: args.filter((arg, index) => !isFlag(arg, index)) };
}

async function carryOut(tool: Tool, plan: Plan, { environment, cwd }: Invocation): Promise<number> {
  if (plan.kind === "text") {
    say(plan.text);
    return plan.status ?? 0;
  }
  if (plan.kind === "command") {
    const command = await loadCommand(plan.name);
    if (!command) throw new Error(`Cannot find the command ${plan.name}`);
    return await runCommand(command, plan.args, tool.name);
  }
  const { loadConfig } = await import("../config/load.ts");
  const { yamlOf } = await import("./yaml.ts");
  let noted = "";
  const load = async (translation: Translation): Promise<LoadResult> => {
    const notes = translation.notes.map((note) => `${tool.name}: ${note}\n`).join("");
    if (notes !== noted) process.stderr.write(forTerminal(notes));
    noted = notes;
    const text = yamlOf(translation, "run");
    const loaded = await loadConfig(plan.source, { environment, cwd, text });
    if ("problems" in loaded) return loaded;
    return plan.isFile ? loaded : { config: { ...loaded.config, file: plan.source } };
  };
  const first = load(await plan.translate());
  if (plan.kind === "check") {
    const { checkConfig } = await import("../commands/check.ts");
    return inOriginalTerms(await checkConfig(await first, { connects: false, said: "Configuration is valid." }), tool);
  }
  if (plan.kind === "collect") {
    const { collectFrom } = await import("../commands/collect.ts");
    return inOriginalTerms(await collectFrom(() => first, undefined), tool);
  }
  const { runAgent } = await import("../commands/run.ts");
  let isFirst = true;
  const status = await runAgent(async () => {
    if (isFirst) {
      isFirst = false;
      return await first;
    }
    try {
      return await load(await plan.translate());
    } catch (error) {
      return { problems: [{ file: plan.source, line: 0, column: 0, message: messageOf(error) }], readable: undefined };
    }
  });
  return inOriginalTerms(status, tool);
}

/** A configuration that was refused was refused under the names of a text that nobody has seen. */
function inOriginalTerms(status: number, { name, exitStatus }: Tool): number {
  if (status !== refusedConfig) return status;
  complain(`${name}: plugins.… are keys of holdfast's configuration, which --print-config prints`);
  return exitStatus.usage;
}

async function print(tool: Tool, plan: Plan, args: readonly string[]): Promise<number> {
  if (plan.kind === "text") {
    say(plan.text);
    return plan.status ?? 0;
  }
  if (plan.kind === "command") {
    say(`${["holdfast", plan.name, ...plan.args.map(quoted)].join(" ")}\n`);
    return 0;
  }
  const { yamlOf } = await import("./yaml.ts");
  const translation = await plan.translate();
  const { rest } = withoutPrintFlag(args);
  const comments = [
    `What ${[tool.name, ...rest.map(quoted)].join(" ")} asks for. Check it: holdfast check --config.file=FILE`,
  ];
  say(yamlOf(translation, "keep", comments));
  return 0;
}

/** As a shell takes it. */
const quoted = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
