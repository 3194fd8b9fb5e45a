/** What can be restored of each server, and to when, by what is known of it. */
import type { RestorableWindow } from "holdfast";
import { type Backup, isRestorable } from "./backups.ts";
import type { Catalogue } from "./catalogue.ts";

/**
 * One window a server; servers that are inactive on purpose have none. To be called when a collection has ended.
 * @param before What it told last: one server may be removed; where none is left at all, Barman may have lost its configuration.
 */
export function restorableWindows(catalogue: Catalogue, before: readonly RestorableWindow[]): RestorableWindow[] {
  const { backups, checks, diagnosed } = catalogue;
  const servers = new Set([...backups.servers(), ...checks.servers(), ...diagnosed.servers()]);
  if (servers.size === 0 && catalogue.inactive.size === 0) {
    const detail =
      "Barman names no server any more: can its configuration be read? Where that is meant, restart the agent";
    return before.map(({ cluster }) => ({ cluster, reason: "unknown", detail }));
  }
  return [...servers]
    .filter((server) => !catalogue.isInactive(server))
    .sort()
    .map((cluster) => ({ cluster, ...windowOf(catalogue, cluster, backups.get(cluster)) }));
}

function windowOf(catalogue: Catalogue, server: string, backups: readonly Backup[] | undefined): RestorableWindow {
  if (backups === undefined) return { reason: "stale", detail: "barman list-backups has not told of it for too long" };
  // What waits for WAL cannot be brought to a consistent state yet.
  const done = backups.filter(({ status }) => status === "DONE");
  const endsOf = (some: readonly Backup[]) => some.flatMap((backup) => catalogue.details.endOf(server, backup) ?? []);
  const all = endsOf(done);
  if (all.length === 0) return { reason: "no_backup", detail: whyNone(backups) };
  const last = all.reduce((a, b) => Math.max(a, b));
  const ends = endsOf(done.filter(({ retentionStatus }) => retentionStatus !== standalone));
  if (ends.length === 0) {
    const detail = "All backups are kept standalone: each can be restored to its own end, and no further";
    return { from: all.reduce((a, b) => Math.min(a, b)), to: last, detail };
  }
  const archived = catalogue.diagnosed.get(server)?.lastArchivedWal;
  const from = ends.reduce((a, b) => Math.min(a, b));
  const to = Math.max(last, ...[...(archived?.values() ?? [])].map(({ timestamp }) => timestamp));
  if (archived !== undefined) return { from, to };
  return { from, to, detail: "The end of the newest backup: when WAL was archived is asked with wal in collect" };
}

/** Of `barman keep --target standalone`: of the WAL behind such a backup nothing is kept for it. */
const standalone = "KEEP:STANDALONE";

function whyNone(backups: readonly Backup[]): string {
  if (backups.some(isRestorable)) return "The only backup waits for the WAL that it needs to be consistent";
  return backups.length === 0 ? "Barman has no backup of it" : "None of its backups has been completed";
}
