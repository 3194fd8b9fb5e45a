/** Prints what the receiver does, and proves that nothing committed is missing. */
import { formatLsn, parseLsn } from "../../../plugins/common/postgres/lsn.ts";
import type { Agent } from "../../../test/harness/agent.ts";
import { waitFor } from "../../../test/harness/wait.ts";
import { type CommittedRow, measureCommits, type Writer, writeMuch } from "./commits.ts";
import { collectedPage, countSeries, listed, print, taste } from "./page.ts";
import { compareSegments, fileWith, receivedFiles } from "./received-files.ts";
import { type Receiving, segmentMiB, slot } from "./receiving.ts";

const tasteOf = [
  /^pgrwl_receiver_state\{.*\} 1$/,
  /^pgrwl_(flushed|server)_lsn/,
  /^pgrwl_lag_(bytes|seconds)/,
  /^pgrwl_wal_(bytes|files)_received_total/,
  /^pgrwl_flush_duration_seconds_(bucket\{.*le="0\.0(01|1)"|sum|count)/,
  /^spool_files/,
  /^holdfast_collect_success/,
  /^holdfast_build_info/,
];

const measuredCommits = 200;

/** Before the writer starts: the measurement wants the server for itself. */
export async function showCommits({ postgres }: Receiving): Promise<void> {
  await writeMuch(postgres, 3);
  const { alone, both } = await measureCommits(postgres, measuredCommits);
  const columns = "application_name, state, sync_state, sent_lsn, flush_lsn";
  const [name, state, mode, sent, flushed] = (await postgres.psql(`SELECT ${columns} FROM pg_stat_replication`))
    .trim()
    .split("|");
  print(`
Every commit waits until holdfast has its WAL on disk; PostgreSQL says:
  ${name} is ${state}, mode ${mode}, sent ${sent}, flushed ${flushed}
A commit takes ${alone.toFixed(2)} ms durable on the server alone, ${both.toFixed(2)} ms durable in both places (medians of ${measuredCommits}).`);
}

/** @throws {Error} What is received is not what it must be. */
export async function showReceived(receiving: Receiving, agent: Agent, writer: Writer): Promise<void> {
  const { walFolder, postgres } = receiving;
  const metrics = await collectedPage(agent, ["pgrwl", "spool"]);
  print(`
A taste of ${countSeries(metrics)} series:
${listed(taste(metrics, tasteOf))}

Received into ${walFolder}:
${listed((await receivedFiles(walFolder)).map(({ name, sizeBytes }) => `${name}  ${sizeBytes / 2 ** 20} MiB`))}`);
  const equal = await compareSegments(walFolder, postgres.dataFolder);
  if (equal === 0) throw new Error(`No segment in ${walFolder} is complete, of ${segmentMiB} MiB each`);
  print(`${equal} segments are complete, and equal to the server's byte for byte.

${await writer.withLastRow((row) => proven(row, walFolder, agent))}`);
}

/** Looks for the row at the receiver, which cannot be behind: the commit waited for it. */
async function proven({ text, lsn }: CommittedRow, walFolder: string, agent: Agent): Promise<string> {
  const what = `holdfast to have flushed ${formatLsn(lsn)}`;
  // The server flushes things of its own too, for which no commit waits.
  const flushed = await waitFor(what, async () => (await flushedLsn(agent)) >= lsn && flushedLsn(agent), 5_000);
  const file = await fileWith(walFolder, text);
  if (file === undefined) throw new Error(`The row "${text}" is committed, and in no file in ${walFolder}`);
  return `The last committed row is safe: its commit is before ${formatLsn(lsn)}, holdfast has flushed up to ${formatLsn(flushed)}.
  "${text}"
  is in ${file}`;
}

async function flushedLsn(agent: Agent): Promise<bigint> {
  const status = (await (await agent.fetch("/pgrwl/status")).json()) as { stream_status: { last_flush_lsn?: string } };
  return parseLsn(status.stream_status.last_flush_lsn ?? "") ?? 0n;
}

export async function showAddresses({ postgres }: Receiving, agent: Agent): Promise<void> {
  const version = (await postgres.psql("SHOW server_version")).trim();
  print(`
The agent runs (process ${agent.pid}):
  status page    ${agent.url}/
  metrics        ${agent.url}/metrics
  health         ${agent.url}/-/healthy  ${agent.url}/-/ready
  receiver       ${agent.url}/pgrwl/status
  configuration  ${agent.configFile}
It receives WAL from PostgreSQL ${version} (${postgres.conninfo()}) through the slot ${slot}.`);
}
