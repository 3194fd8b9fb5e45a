/** Starts real servers in temporary folders and the compiled agent on them, shows what it serves, and cleans up. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Agent, startAgent } from "../test/harness/agent.ts";
import { missing } from "../test/harness/available.ts";
import { type BarmanHost, startBarman } from "../test/harness/barman.ts";
import { createFolder } from "../test/harness/folders.ts";
import { waitFor } from "../test/harness/wait.ts";
import { startWalg, type WalgHost } from "../test/harness/walg.ts";

const print = (text: string) => void process.stdout.write(`${text}\n`);

/** What is shown of `/metrics`. */
const tasteOf = [
  /^barman_up\{.*check="(postgresql|receive_wal_running|replication_slot)".*server="(main|broken)"/,
  /^barman_backups_total/,
  /^barman_backup_size/,
  /^barman_last_backup\{/,
  /^walg_(backups|lsn_lag_bytes|wal_timestamp|wal_integrity_status)\{/,
  /^walg_(storage_up|pitr_usable_window_seconds)/,
  /^spool_files/,
  /^holdfast_collect_success/,
  /^holdfast_build_info/,
];

/** Asked to end. Only noted: whatever is being started then is started whole, and can be cleaned up. */
class Interruption {
  readonly #asked = Promise.withResolvers<void>();
  isAsked = false;

  constructor() {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        if (this.isAsked) return;
        this.isAsked = true;
        print("\nCleaning up");
        this.#asked.resolve();
      });
    }
  }

  asked(): Promise<void> {
    return this.#asked.promise;
  }
}

function configuration(barman: BarmanHost, walg: WalgHost | undefined, spool: string): string {
  return `plugin_dir: plugins
plugins:
  barman:
    interval: 15s
    config: { path: ${barman.executable} }
  spool:
    interval: 5s
    config: { directory: ${spool} }
${walg === undefined ? "" : walgInstance(walg)}`;
}

function walgInstance({ executable, environment }: WalgHost): string {
  return `  walg:
    interval: 15s
    config: { path: ${executable}, environment: ${JSON.stringify(environment)} }
`;
}

/** A storage with a full backup and a delta; undefined, and said, where there is no wal-g. */
async function startStorage(): Promise<WalgHost | undefined> {
  if (missing("wal-g") !== undefined) {
    print("wal-g is not in PATH: the demo goes without the walg plugin");
    return undefined;
  }
  print("Starting a PostgreSQL that archives with wal-g, and pushing two backups");
  await using cleanup = new AsyncDisposableStack();
  const walg = cleanup.use(await startWalg());
  for (let backups = 0; backups < 2; backups++) await walg.backup();
  await walg.archiveWal();
  cleanup.move();
  return walg;
}

function taste(metrics: string): string[] {
  return tasteOf.flatMap((pattern) => metrics.split("\n").filter((line) => pattern.test(line)));
}

async function show(agent: Agent, plugins: readonly string[]): Promise<void> {
  const collected = async () => {
    const metrics = await agent.scrape();
    const answered = plugins.every((name) => metrics.includes(`\nholdfast_collect_success{name="${name}"} 1\n`));
    return answered && metrics;
  };
  const metrics = await waitFor("the first collection", collected, 60_000).catch((cause) => {
    throw new Error(`Nothing was collected; the agent said:\n${agent.stderr.join("\n")}`, { cause });
  });
  const series = metrics.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length;
  print(`
The agent runs (process ${agent.pid}):
  status page    ${agent.url}/
  metrics        ${agent.url}/metrics
  health         ${agent.url}/-/healthy  ${agent.url}/-/ready
  configuration  ${agent.configFile}
  plugin         ${join(agent.folder, "plugins/spool.ts")}

A taste of ${series} series:
${taste(metrics)
  .map((line) => `  ${line}`)
  .join("\n")}
`);
}

async function demo(once: boolean, interruption: Interruption): Promise<void> {
  print("Starting PostgreSQL and Barman, and taking a backup");
  await using barman = await startBarman();
  if (interruption.isAsked) return;
  await using walg = await startStorage();
  if (interruption.isAsked) return;

  await using spool = await createFolder("holdfast-spool", barman.user);
  await mkdir(join(spool.path, "waiting"));
  for (const name of ["1", "2", "3"]) await writeFile(join(spool.path, "waiting", name), "");
  const plugin = await Bun.file(new URL("demo-plugins/spool.ts", import.meta.url)).text();

  print("Starting the agent");
  await using agent = await startAgent(configuration(barman, walg, join(spool.path, "waiting")), {
    files: { "plugins/spool.ts": plugin },
    user: barman.user,
  });
  if (interruption.isAsked) return;
  await show(agent, ["barman", "spool", ...(walg === undefined ? [] : ["walg"])]);
  if (once) return;
  print("Ctrl-C ends it all");
  await Promise.race([interruption.asked(), agent.exited]);
  if (!interruption.isAsked) throw new Error(`The agent ended by itself:\n${agent.stderr.slice(-20).join("\n")}`);
}

const reason = missing("postgresql", "barman", "dist/holdfast");
if (reason !== undefined) {
  print(`Cannot show the demo: ${reason}; as root: apt-get install postgresql barman`);
  process.exit(1);
}
const interruption = new Interruption();
try {
  await demo(process.argv.includes("--once"), interruption);
  process.exit(0);
} catch (error) {
  // What an interrupted server complains about is no news.
  if (interruption.isAsked) process.exit(0);
  const cause = error instanceof Error && error.cause instanceof Error ? `\n${error.cause.message}` : "";
  print(`The demo failed: ${error instanceof Error ? error.message : error}${cause}`);
  process.exit(1);
}
