/** `holdfast snapshot list`: what a server has, or a target. */
import type { BackupManifest } from "../../plugins/common/archive/backup-manifest.ts";
import { endOnStop } from "../system/signals.ts";
import { forTerminal } from "../system/terminal.ts";
import type { Command } from "./command.ts";
import { listBackups } from "./snapshot/backup-files.ts";
import { sizeText } from "./snapshot/progress.ts";
import { ServerError, SnapshotServer, serverFlag } from "./snapshot/server.ts";
import { openTarget, targetFlags } from "./snapshot/target.ts";

interface Row {
  readonly name: string;
  readonly time: string;
  readonly size_bytes: number;
  readonly exclusive_bytes: number;
  readonly blocks: number;
  readonly verified: string;
  readonly complete: boolean;
  readonly in_use: boolean;
}

export const command: Command = {
  name: "snapshot list",
  summary: "Lists the snapshots of a server, or the backups in a target, the newest first.",
  goStyle: true,
  flags: [serverFlag, ...targetFlags, { name: "json", help: "Print JSON." }],
  async run(flags) {
    endOnStop();
    await using storage = await openTarget(flags);
    if (storage) {
      const backups = await listBackups(storage);
      process.stdout.write(flags.isSet("json") ? `${JSON.stringify(backups, null, 2)}\n` : backupTable(backups));
      return 0;
    }
    const server = SnapshotServer.of(flags);
    const answer = (await server.json("GET", "api/snapshots", {}).catch((error: unknown) => {
      if (!(error instanceof ServerError) || error.status !== 404) throw error;
      throw new Error(`Cannot list the snapshots of ${server.url}: the original prombackup-server has no list`);
    })) as { snapshots?: Row[] };
    const rows = answer.snapshots ?? [];
    process.stdout.write(flags.isSet("json") ? `${JSON.stringify(rows, null, 2)}\n` : table(rows));
    return 0;
  },
};

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ name, time, size_bytes, exclusive_bytes, blocks, verified, complete, in_use }) => [
    name,
    time,
    sizeText(size_bytes),
    sizeText(exclusive_bytes),
    String(blocks),
    complete ? verified : "incomplete",
    in_use ? "yes" : "no",
  ]);
  return columns([["NAME", "TIME", "SIZE", "OWN", "BLOCKS", "VERIFIED", "IN USE"], ...cells]);
}

function backupTable(backups: readonly BackupManifest[]): string {
  const cells = backups.map(({ name, completed, files, blocks, verified }) => [
    name,
    completed,
    sizeText(files.reduce((sum, { size_bytes }) => sum + size_bytes, 0)),
    String(blocks.length),
    verified ? "right" : "unknown",
  ]);
  return columns([["NAME", "COMPLETED", "SIZE", "BLOCKS", "VERIFIED"], ...cells]);
}

function columns(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines
    .map(
      (line) =>
        `${line
          .map(forTerminal)
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("");
}
