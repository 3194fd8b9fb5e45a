/** What people see of the instance on the agent's status page. What is not known is left out. */
import type { PluginStatus } from "holdfast";
import { ageText, sizeText } from "./page-html.ts";
import type { Server } from "./server.ts";
import type { SnapshotInfo } from "./snapshot-store.ts";
import type { Target } from "./target.ts";

/** What the last collection saw. */
export interface Seen {
  readonly snapshots: readonly SnapshotInfo[];
  /** Undefined: Prometheus did not answer. */
  readonly adminApiEnabled: boolean | undefined;
}

/** @param nextBackupAt When the schedule goes on, Unix milliseconds. */
export function instanceStatus(
  server: Server,
  targets: readonly Target[],
  seen: Seen | undefined,
  nextBackupAt: number | undefined,
): PluginStatus {
  const { state, now } = server.deps;
  const at = now();
  const ago = (ms: number | undefined) => (ms === undefined ? undefined : `${ageText(at - ms)} ago`);
  const newest = seen?.snapshots.at(-1);
  const isDamaged = newest !== undefined && server.verifications.of(newest)?.ok === false;
  const backups = targets.map(({ name, known }): [string, string] => {
    const last = ago(state.time(`uploadSuccess:${name}`));
    const content = known && `, ${known.backups.length} kept, ${sizeText(known.sizeBytes)}`;
    return [`Backup to ${name}`, `${last ?? "none yet"}${content ?? ""}`];
  });
  return {
    facts: {
      "Newest snapshot":
        newest && `${ageText(at - newest.timeMs)} ago, ${sizeText(newest.sizeBytes)}, ${verdict(server, newest)}`,
      Snapshots: seen?.snapshots.length,
      "Last taken": ago(state.time("snapshotSuccess")),
      "Last verified": ago(state.time("verificationSuccess")),
      Downloads: server.downloads.running() || undefined,
      ...Object.fromEntries(backups.slice(0, 5)),
      "Next backup":
        nextBackupAt === undefined ? undefined : nextBackupAt <= at ? "now" : `in ${ageText(nextBackupAt - at)}`,
    },
    problem: problemOf(seen, isDamaged ? newest.name : undefined, overdue(server, targets)),
  };
}

function verdict(server: Server, newest: SnapshotInfo): string {
  const known = server.verifications.of(newest);
  if (known === undefined) return newest.isComplete ? "not verified" : "incomplete";
  return known.ok ? "verified" : "damaged";
}

function problemOf(seen: Seen | undefined, damaged: string | undefined, late: readonly string[]): string | undefined {
  if (damaged !== undefined) return `The newest snapshot, ${damaged}, is damaged or empty: look at its page`;
  if (late.length > 0) return `No backup in ${late.join(", ")} for more than two intervals: see the log`;
  if (seen === undefined) return undefined;
  if (seen.adminApiEnabled === undefined) return "Prometheus does not answer: no snapshot can be taken";
  if (!seen.adminApiEnabled) return "Prometheus takes no snapshots: start it with --web.enable-admin-api";
  return undefined;
}

/** Targets that should have had a backup long ago. */
function overdue(server: Server, targets: readonly Target[]): string[] {
  const { settings, state, now } = server.deps;
  const { backup } = settings;
  if (!backup) return [];
  const isLate = (name: string) => {
    const last = state.time(`uploadSuccess:${name}`);
    // Before the first one, and where the clock was set back since, a failure is late enough.
    if (last === undefined || last > now()) return state.time(`uploadFailure:${name}`) !== undefined;
    return now() - last > 2 * (backup.every + backup.jitter) * 1000;
  };
  return targets.map(({ name }) => name).filter(isLate);
}
