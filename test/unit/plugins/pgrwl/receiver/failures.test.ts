import { expect, test } from "bun:test";
import { ReplicationError } from "../../../../../plugins/common/postgres/replication-error.ts";
import { DiskError } from "../../../../../plugins/pgrwl/receiver/disk.ts";
import { failureOf, gapOf } from "../../../../../plugins/pgrwl/receiver/failures.ts";
import { GapError, remedies } from "../../../../../plugins/pgrwl/receiver/gaps.ts";
import { disconnectReasons, gapReasons } from "../../../../../plugins/pgrwl/receiver/telemetry.ts";

const said = (sqlState: string, message: string) =>
  new ReplicationError("server_error", `Cannot stream WAL from db1:5432: ERROR ${sqlState}: ${message}`, { sqlState });

const diskError = (code: string) => new DiskError("write", "/wal/x", Object.assign(new Error("x"), { code }));

// Recorded from PostgreSQL 15.18, 16, 17 and 18; the German one from its message catalogue.
test.each([
  ["58P01", "requested WAL segment 000000010000000000000006 has already been removed", "wal_removed"],
  ["XX000", "requested WAL segment 000000010000000000000006 has already been removed", "wal_removed"],
  ["58P01", "das angeforderte WAL-Segment 000000010000000000000006 wurde schon entfernt", "wal_removed"],
  ["58P01", 'could not open file "pg_wal/000000010000000000000006": No such file or directory', "wal_removed"],
  [
    "55000",
    'can no longer access replication slot "s" (This replication slot has been invalidated due to "wal_removed")',
    "slot_lost",
  ],
  [
    "55000",
    'can no longer access replication slot "s" (This replication slot has been invalidated due to "idle_timeout")',
    "slot_lost",
  ],
] as const)("%s: %s is a gap", (sqlState, message, reason) => {
  const gap = gapOf(said(sqlState, message));
  expect(gap).toBeInstanceOf(GapError);
  expect(gap?.reason).toBe(reason);
  expect(gap?.message).toContain(message);
});

test.each([
  ["58P01", 'could not open file "pg_wal/00000007.history": No such file or directory'],
  ["XX000", "requested starting point FF/1000000 is ahead of the WAL flush position of this server 0/E00238"],
  ["XX000", "requested timeline 7 is not in this server's history"],
  ["42704", 'replication slot "nope" does not exist'],
  ["55006", 'replication slot "s" is active for PID 42'],
  ["55000", "cannot use a logical replication slot for physical replication"],
  ["53300", "number of requested standby connections exceeds max_wal_senders (currently 10)"],
])("%s: %s is no gap: nothing is lost by trying again", (sqlState, message) => {
  expect(gapOf(said(sqlState, message))).toBeUndefined();
  expect(failureOf(said(sqlState, message)).reason).toBe("server_error");
});

test("a slot that was given up is known in every language", () => {
  const message =
    "Cannot run START_REPLICATION on db1:5432: ERREUR 55000: ne peut plus accéder au slot de réplication « s »";
  expect(gapOf(new ReplicationError("server_error", message, { sqlState: "55000" }))?.reason).toBe("slot_lost");
});

test("a gap that was found here stays what it is, and nothing else becomes one", () => {
  const gap = new GapError("diverged", "x", { file: "000000010000000000000003" });
  expect(gapOf(gap)).toBe(gap);
  expect(gapOf(new Error("requested WAL segment 1 has already been removed"))).toBeUndefined();
  expect(gapOf(undefined)).toBeUndefined();
});

test.each([
  ["a gap", new GapError("timeline", "x"), "gap"],
  ["a full disk", diskError("ENOSPC"), "disk_full"],
  ["an exhausted quota", diskError("EDQUOT"), "disk_full"],
  ["a broken disk", diskError("EIO"), "disk_error"],
  ["a server that is silent", new ReplicationError("timeout", "x"), "timeout"],
  ["a lost connection", new ReplicationError("connection_lost", "x"), "connection_lost"],
  ["a message that is none", new SyntaxError("x"), "protocol"],
  ["WAL that is not next", new RangeError("x"), "protocol"],
  ["anything else", new Error("x"), "configuration"],
] as const)("%s is counted by its reason", (_, error, reason) => {
  expect(failureOf(error)).toEqual({ reason, error });
  expect(disconnectReasons).toContain(reason);
});

test("every gap comes with something that can be done", () => {
  for (const reason of gapReasons) expect(remedies[reason]).toMatch(/set (on_gap: continue|create_slot: true)/);
});
