/** Starts real servers in temporary folders and the compiled agent on them, shows what it serves, and cleans up. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Agent, startAgent } from "../test/harness/agent.ts";
import { missing } from "../test/harness/available.ts";
import { createFolder } from "../test/harness/folders.ts";
import { serverUser } from "../test/harness/users.ts";
import { installedBackupTools, showBackups, startBackups } from "./lib/demo/backups.ts";
import { startWriter } from "./lib/demo/commits.ts";
import { Interruption } from "./lib/demo/interruption.ts";
import { print, printLast } from "./lib/demo/page.ts";
import {
  makeSynchronous,
  postgresVersion,
  type Receiving,
  receiverInstance,
  startReceiving,
} from "./lib/demo/receiving.ts";
import { showAddresses, showCommits, showReceived } from "./lib/demo/show-receiving.ts";

const has = (option: string) => process.argv.includes(option);

/** With a third-party plugin: one file in the plugin directory. */
async function startWith(receiving: Receiving, spool: string, user: string) {
  const configuration = `plugin_dir: plugins
plugins:
${receiverInstance(receiving)}  spool:
    interval: 1s
    config: { directory: ${spool} }
`;
  const plugin = await Bun.file(new URL("demo-plugins/spool.ts", import.meta.url)).text();
  const agent = await startAgent(configuration, { files: { "plugins/spool.ts": plugin }, user });
  return { agent, configuration };
}

async function demo(interruption: Interruption): Promise<void> {
  const tools = has("--quick") ? [] : installedBackupTools();
  // Barman wants its own user to run it.
  const user = serverUser(tools.includes("barman") ? "barman" : "postgres");
  print(`Starting PostgreSQL ${postgresVersion()} and the agent`);
  await using receiving = await startReceiving(user);
  if (interruption.isAsked) return;

  await using spool = await createFolder("holdfast-spool", user);
  const waiting = join(spool.path, "waiting");
  await mkdir(waiting);
  for (const name of ["1", "2", "3"]) await writeFile(join(waiting, name), "");
  const { agent, configuration } = await startWith(receiving, waiting, user);
  await using _agent = agent;
  if (interruption.isAsked) return;

  const ended = agent.exited.then(() => {
    if (!interruption.isAsked) throw endedByItself(agent);
  });
  // Heard at the latest by the next piece of work.
  ended.catch(() => {});
  const during = (work: Promise<void>) => interruption.during(Promise.race([work, ended]));

  await during(showAddresses(receiving, agent));
  await during(makeSynchronous(receiving));
  if (interruption.isAsked) return;
  await during(showCommits(receiving));
  if (interruption.isAsked) return;
  await using writer = await startWriter(receiving.postgres);
  await during(showReceived(receiving, agent, writer));
  if (interruption.isAsked) return;

  await using backups = tools.length === 0 ? undefined : await startBackups(interruption);
  if (interruption.isAsked) return;
  if (backups !== undefined) await during(showBackups(backups, agent, configuration));
  if (has("--once") || interruption.isAsked) return;
  print(`\nRows are being written. The status page: ${agent.url}/\nCtrl-C ends it all`);
  await during(new Promise(() => {}));
}

function endedByItself(agent: Agent): Error {
  return new Error(`The agent ended by itself:\n${agent.stderr.slice(-20).join("\n")}`);
}

/** Why nothing can be shown, with what would do; undefined when it can. */
function obstacle(): string | undefined {
  if (missing("dist/holdfast") !== undefined) return "dist/holdfast is missing: run scripts/build";
  if (postgresVersion() === undefined) {
    return "there is no PostgreSQL here: npm has one for Linux on x64 alone; elsewhere install PostgreSQL 15 or newer (on Debian: apt-get install postgresql)";
  }
  const backups = has("--barman") ? missing("postgresql", "barman") : undefined;
  return backups && `${backups}; as root, on Debian: apt-get install postgresql barman`;
}

const reason = obstacle();
if (reason !== undefined) {
  print(`Cannot show the demo: ${reason}`);
  process.exit(1);
}
const interruption = new Interruption(() => printLast("\nCleaning up"));
// Nobody reads on, as behind `| head`.
process.stdout.on("error", () => interruption.ask());
try {
  await demo(interruption);
  process.exit(0);
} catch (error) {
  // What an interrupted server complains about is no news.
  if (interruption.isAsked) process.exit(0);
  const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.message}` : "";
  print(`The demo failed: ${error instanceof Error ? error.message : error}${cause}`);
  process.exit(1);
}
