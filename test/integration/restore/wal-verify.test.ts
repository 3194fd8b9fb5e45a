/** `wal verify`: what it finds, how it says it, and its exit status. */
import { expect, test } from "bun:test";
import { rm, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { verifyArchive } from "../../../plugins/common/wal-archive/verify.ts";
import { runOnce } from "../../harness/agent.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { walSegment } from "../../harness/wal-segment.ts";
import { openArchive } from "./support.ts";

const segment = (number: number, timeline = 1) =>
  `0000000${timeline}00000000${number.toString(16).toUpperCase().padStart(8, "0")}`;

/** Segments 1 to 4 of timeline 1, and 5 to 8 of timeline 2, which began within 5. */
async function createArchive() {
  const folder = await createFolder("holdfast-verify");
  const storage = { type: "local", directory: join(folder.path, "archive") } as const;
  const compression = "gzip" as const;
  const put = async (name: string, content: Uint8Array | string) => {
    await using archive = await openArchive({ storage, compression });
    const file = join(folder.path, name);
    await writeFile(file, content);
    await archive.put(name, file);
  };
  for (let number = 1; number <= 4; number++) await put(segment(number), walSegment({ number }));
  for (let number = 5; number <= 8; number++) await put(segment(number, 2), walSegment({ number, timeline: 2 }));
  await put("00000002.history", `1\t0/${(5 * 2 ** 20 + 100).toString(16)}\tno recovery target specified\n`);
  const config = join(folder.path, "holdfast.yml");
  const instance = { directory: join(folder.path, "none"), slot: "s", archive: { storage, compression } };
  await writeFile(config, `plugins: { wal: { plugin: pgrwl, config: ${JSON.stringify(instance)} } }\n`);
  return {
    object: (name: string) => join(storage.directory, "wal-archive", `${name}.gz`),
    verify: (...flags: string[]) => runOnce(["wal", "verify", `--config.file=${config}`, ...flags]),
    remove: (path: string) => rm(path, { recursive: true }),
    put,
    verification: async (systemIdentifier?: string) => {
      await using reader = await openArchive({ storage, compression });
      const { signal } = new AbortController();
      return await verifyArchive(reader, { depth: "all", signal, systemIdentifier });
    },
    root: storage.directory,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describeWith(["dist/holdfast"], "wal verify", () => {
  test("0: an archive that is whole over two timelines", async () => {
    await using archive = await createArchive();
    const { status, stdout, stderr } = await archive.verify("--depth=all");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("Restorable   from 0/100000 to 0/900000 without a gap");
    expect(stdout).toEndWith("\nThe archive is whole.\n");
  });

  test("1: a gap, as JSON", async () => {
    await using archive = await createArchive();
    await archive.remove(archive.object(segment(3)));
    await archive.remove(archive.object(segment(4)));
    const { status, stdout } = await archive.verify("--json", "--depth=names");
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      whole: false,
      oldest_restorable_lsn: "0/500000",
      newest_restorable_lsn: "0/900000",
      gaps: [{ timeline: 1, first: segment(3), last: segment(4), count: 2 }],
      damaged: [],
    });
  });

  test("1: damage, which is a gap too", async () => {
    await using archive = await createArchive();
    await truncate(archive.object(segment(6, 2)), 1000);
    expect((await archive.verify("--depth=names")).status).toBe(0);
    const { status, stdout } = await archive.verify("--depth=all");
    expect(status).toBe(1);
    expect(stdout).toContain(`Damaged:\n  wal-archive/${segment(6, 2)}.gz: `);
    expect(stdout).toContain(`Missing:\nTIMELINE`);
  });

  test("1: WAL of two clusters, as after pg_upgrade: what was stored last is ours, on timeline 1 again", async () => {
    await using archive = await createArchive();
    const ours = [9, 10, 11];
    for (const number of ours) await archive.put(segment(number), walSegment({ number, systemIdentifier: 7_332n }));
    const earlier = new Date(Date.now() - 3_600_000);
    for (let number = 1; number <= 8; number++) {
      const object = archive.object(segment(number, number < 5 ? 1 : 2));
      await utimes(object, earlier, earlier);
    }
    const { status, stdout } = await archive.verify("--depth=all", "--json");
    expect(status).toBe(1);
    const { system_identifier, damaged, ...found } = JSON.parse(stdout);
    expect(system_identifier).toBe("7332");
    expect(damaged).toHaveLength(8);
    expect(found).toMatchObject({ oldest_restorable_lsn: "0/900000", newest_restorable_lsn: "0/C00000" });
    // Where the server's own identifier is known it counts, whatever was stored last.
    expect((await archive.verification("7331")).damaged.map(({ objectName }) => objectName)).toEqual(
      ours.map((number) => `wal-archive/${segment(number)}.gz`),
    );
  });

  test("1: a gap on the timeline that goes on, though a test restore has left it", async () => {
    await using archive = await createArchive();
    for (const number of [5, 6, 9]) await archive.put(segment(number), walSegment({ number }));
    const [now, earlier] = [new Date(), new Date(Date.now() - 3_600_000)];
    for (let number = 1; number <= 8; number++) {
      await utimes(archive.object(segment(number, number < 5 ? 1 : 2)), earlier, earlier);
    }
    await utimes(archive.object(segment(9)), now, now);
    const { status, stdout } = await archive.verify("--json");
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      gaps: [{ first: segment(7), last: segment(8), count: 2 }],
      oldest_restorable_lsn: "0/900000",
    });
  });

  test("1: a history is missing", async () => {
    await using archive = await createArchive();
    await archive.remove(archive.object("00000002.history"));
    const { status, stdout } = await archive.verify();
    expect([status, stdout]).toEqual([1, expect.stringContaining("Missing histories:\n  00000002.history")]);
  });

  test("1: an archive that is not there", async () => {
    await using archive = await createArchive();
    await archive.remove(archive.root);
    const { status, stderr } = await archive.verify();
    expect([status, stderr]).toEqual([1, expect.stringContaining("Cannot verify")]);
  });

  test("2: a wrong command line", async () => {
    expect((await runOnce(["wal", "verify", "--depth=deep", "--config.file=/nonexistent"])).status).toBe(2);
    expect((await runOnce(["wal", "verify", "--config.file=/nonexistent"])).status).toBe(2);
  });
});
