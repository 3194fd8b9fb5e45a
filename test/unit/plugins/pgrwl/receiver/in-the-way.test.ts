import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GapError } from "../../../../../plugins/pgrwl/receiver/gaps.ts";
import { filesInTheWay } from "../../../../../plugins/pgrwl/receiver/in-the-way.ts";
import { mib } from "./wal-content.ts";

let directory: string;
const ours = [
  "000000010000000000000003",
  "000000010000000000000004.gz",
  "00000002.history",
  "000000020000000000000004",
  "000000020000000000000005.zst.aes",
  "00000003.history",
  "000000030000000000000005",
  "000000030000000000000006.partial",
];
const archived = [
  "wal-archive/000000010000000000000002.gz",
  "wal-archive/000000030000000000000004",
  "wal-archive/00000003.history.gz",
];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-in-the-way-"));
  for (const folder of ["wal-archive", "set-aside", "backups"]) mkdirSync(join(directory, folder));
  for (const file of [
    ...ours,
    ...archived,
    "set-aside/000000010000000000000003.1",
    "notes.txt",
    "000000010000000000001000",
  ])
    writeFileSync(join(directory, file), "");
});
afterEach(() => rmSync(directory, { recursive: true }));

const server = { timeline: 2, lsn: BigInt(4 * mib + 5), history: [{ timeline: 1, endLsn: BigInt(4 * mib) }] };
const inTheWay = (gap: GapError, known = server) => filesInTheWay(directory, gap, known, mib).sort();

test("of another system are all segments and histories, the archived ones too, and nothing else", () => {
  expect(inTheWay(new GapError("system_identifier", "x"))).toEqual([...ours, ...archived].sort());
});

test("of a timeline that the server does not know is everything on it", () => {
  expect(inTheWay(new GapError("timeline", "x"))).toEqual(
    [...ours, ...archived].filter((path) => path.includes("00000003") && !path.includes("000000010")).sort(),
  );
});

test("with a history that is not the server's goes everything on this timeline and those behind it", () => {
  expect(inTheWay(new GapError("timeline", "x", { file: "00000002.history" }))).toEqual(
    [...ours, ...archived].filter((path) => /(^|\/)0000000[23]/.test(path)).sort(),
  );
});

test("beyond a server that was set back are the segments of its timeline from its position on", () => {
  expect(inTheWay(new GapError("server_behind", "x"))).toEqual([
    "000000020000000000000004",
    "000000020000000000000005.zst.aes",
  ]);
  expect(inTheWay(new GapError("server_behind", "x"), { ...server, timeline: 3 })).toEqual([
    "000000030000000000000005",
    "000000030000000000000006.partial",
    "wal-archive/000000030000000000000004",
  ]);
});

test("of WAL that differs it is the file that differs", () => {
  for (const file of ["000000010000000000000003", "000000010000000000000003.partial"])
    expect(inTheWay(new GapError("diverged", "x", { file }))).toEqual([file]);
});

test("a folder that is gone has nothing in the way", () => {
  expect(filesInTheWay(join(directory, "gone"), new GapError("timeline", "x"), server, mib)).toEqual([]);
});
