import { expect, test } from "bun:test";
import { parseBackupList } from "../../../../plugins/walg/backups.ts";
import { deltaChains } from "../../../../plugins/walg/delta-chains.ts";
import { backupListOf } from "../../../../scripts/bench/walg-storage.ts";

const segment = (letter: string) => letter.repeat(24);
/** Backups from `name start finish`, times in hours. */
const backupsOf = (...lines: string[]) => {
  const at = (hours = "00") => `2026-01-01T${hours.padStart(2, "0")}:00:00Z`;
  const records = lines.map((line) => {
    const [name = "", start, finish] = line.split(" ");
    const full = name.split("_D_").map(segment).join("_D_");
    return { backup_name: `base_${full}`, start_time: at(start), finish_time: at(finish) };
  });
  const { backups } = parseBackupList(JSON.stringify(records));
  const chains = deltaChains(backups);
  const nameOf = (name: string) => `base_${name.split("_D_").map(segment).join("_D_")}`;
  const find = (name: string) => backups.find((backup) => backup.name === nameOf(name)) ?? expect.unreachable();
  return {
    parent: (name: string) => chains.parent(find(name))?.name,
    depth: (name: string) => chains.depth(find(name)),
    nameOf,
  };
};

test("of two backups of one segment the parent is the one that ended last before the delta began", () => {
  const { parent, nameOf } = backupsOf("A 01 02", "B_D_A 03 04", "B 05 06", "C_D_B 05 07", "D_D_B 08 09");
  expect(parent("C_D_B")).toBe(nameOf("B_D_A"));
  expect(parent("D_D_B")).toBe(nameOf("B"));
});

test("a parent that fits no time is better than none", () => {
  const { parent, nameOf } = backupsOf("B 05 06", "C_D_B 01 02");
  expect(parent("C_D_B")).toBe(nameOf("B"));
});

test("a delta whose parent is gone has none, and its chain and its children's is broken", () => {
  const { parent, depth } = backupsOf("B_D_A 03 04", "C_D_B 05 06");
  expect(parent("B_D_A")).toBeUndefined();
  expect(depth("B_D_A")).toBeUndefined();
  expect(depth("C_D_B")).toBeUndefined();
});

test("depth counts the deltas from the full backup on, in any order of the list", () => {
  const { depth } = backupsOf("D_D_C 07 08", "C_D_B 05 06", "B_D_A 03 04", "A 01 02");
  expect(["A", "B_D_A", "C_D_B", "D_D_C"].map(depth)).toEqual([0, 1, 2, 3]);
});

test("deltas that name each other are a broken chain, not an endless one", () => {
  const { depth } = backupsOf("A_D_B 01 02", "B_D_A 01 02", "C_D_A 03 04");
  expect(["A_D_B", "B_D_A", "C_D_A"].map(depth)).toEqual([undefined, undefined, undefined]);
});

test("a parent of WAL-E with an offset behind its segment is found", () => {
  const { backups } = parseBackupList(
    JSON.stringify([
      { backup_name: `base_${segment("A")}_00000040` },
      { backup_name: `base_${segment("B")}_D_${segment("A")}` },
    ]),
  );
  const chains = deltaChains(backups);
  expect(backups.map((backup) => chains.parent(backup)?.name)).toEqual([undefined, `base_${segment("A")}_00000040`]);
});

test("10,000 backups get the right parents in well under a second", () => {
  const { backups } = parseBackupList(backupListOf(10_000));
  const before = performance.now();
  const chains = deltaChains(backups);
  const wrong = backups.filter((backup, index) => {
    const expected = index % 7 === 0 ? undefined : backups[index - 1];
    return chains.parent(backup) !== expected || chains.depth(backup) !== index % 7;
  });
  expect(wrong).toEqual([]);
  expect(performance.now() - before).toBeLessThan(1000);
});
