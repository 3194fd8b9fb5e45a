/** Backups by Barman and wal-g, where they are installed, beside what runs already. */
import type { Agent } from "../../../test/harness/agent.ts";
import { missing } from "../../../test/harness/available.ts";
import { startBarman } from "../../../test/harness/barman.ts";
import { startWalg } from "../../../test/harness/walg.ts";
import type { Interruption } from "./interruption.ts";
import { collectedPage, countSeries, listed, print, taste } from "./page.ts";

const tasteOf = [
  /^barman_up\{.*check="(postgresql|receive_wal_running|replication_slot)".*server="(main|broken)"/,
  /^barman_backups_total/,
  /^barman_backup_size/,
  /^barman_last_backup\{/,
  /^walg_(backups|lsn_lag_bytes|wal_timestamp|wal_integrity_status)\{/,
  /^walg_(storage_up|pitr_usable_window_seconds)/,
  /^holdfast_collect_success/,
];

/** Which of the two can be shown. */
export function installedBackupTools(): ("barman" | "walg")[] {
  return [
    ...(missing("postgresql", "barman") === undefined ? ["barman" as const] : []),
    ...(missing("postgresql", "wal-g") === undefined ? ["walg" as const] : []),
  ];
}

/** Instances in YAML, by their names; what they watch runs until this is disposed of. */
export interface Backups extends AsyncDisposable {
  readonly instances: Readonly<Record<string, string>>;
}

/** Starts the servers and takes backups. Ends early, with fewer of them, when it is interrupted. */
export async function startBackups(interruption: Interruption): Promise<Backups> {
  await using cleanup = new AsyncDisposableStack();
  const instances: Record<string, string> = {};
  for (const tool of installedBackupTools()) {
    if (interruption.isAsked) break;
    if (tool === "barman") {
      print("\nStarting a PostgreSQL and Barman, and taking a backup");
      const { executable } = cleanup.use(await startBarman());
      instances.barman = `  barman:\n    interval: 15s\n    config: { path: ${executable} }\n`;
    } else {
      print("\nStarting a PostgreSQL that archives with wal-g, and pushing two backups");
      const walg = cleanup.use(await startWalg());
      for (let backups = 0; backups < 2; backups++) await walg.backup();
      await walg.archiveWal();
      const config = `{ path: ${walg.executable}, environment: ${JSON.stringify(walg.environment)} }`;
      instances.walg = `  walg:\n    interval: 15s\n    config: ${config}\n`;
    }
  }
  const owned = cleanup.move();
  return { instances, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Has the agent take them up, beside what it runs. */
export async function showBackups({ instances }: Backups, agent: Agent, configuration: string): Promise<void> {
  const names = Object.keys(instances);
  await agent.configure(configuration + Object.values(instances).join(""));
  agent.signal("SIGHUP");
  const metrics = await collectedPage(agent, names);
  print(`
A reload took up ${names.join(" and ")}; what ran already went on. A taste of ${countSeries(metrics)} series:
${listed(taste(metrics, tasteOf))}`);
}
