/** Receive folders in which there is what nobody expects, or in which nobody may write. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, chmod, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { type PostgresServer, startPostgres } from "../../../harness/postgres.ts";
import { giveTo } from "../../../harness/users.ts";
import { waitFor } from "../../../harness/wait.ts";
import { dropSlot } from "../../../harness/wal-receiver.ts";
import { faultsIn, type Instance, mib, slot, startInstance, writeWal } from "./instance.ts";

describeWith(["postgresql", "dist/holdfast"], "the receive folder", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    const settings = { autovacuum: "off", checkpoint_timeout: "1h", wal_keep_size: "1GB", max_wal_size: "1GB" };
    server = await startPostgres(settings, { segmentMiB: 1 });
  }, 120_000);
  afterAll(() => server[Symbol.asyncDispose]());

  /** Receives a few segments, ends, has the folder changed, and goes on. @returns What is wrong then. */
  async function goOnAfter(change: (instance: Instance, files: string[]) => Promise<unknown>) {
    await using instance = await startInstance(server);
    await instance.until("streaming");
    await writeWal(server, 2);
    await server.psql("SELECT pg_logical_emit_message(true, 'test', repeat('y', 100000))");
    await instance.caughtUp(server);
    await instance.kill();
    await change(instance, await instance.files());
    await using next = await startInstance(server, { directory: instance.directory });
    await next.caughtUp(server);
    await writeWal(server, 2);
    await next.caughtUp(server);
    const { directory } = next;
    const aside = await readdir(join(directory, "set-aside")).catch(() => []);
    const faults = await faultsIn(directory, server);
    const contents = new Map<string, string>();
    for (const entry of await readdir(directory, { withFileTypes: true }))
      contents.set(entry.name, entry.isFile() ? await readFile(join(directory, entry.name), "latin1") : "no file");
    return { contents, aside, faults: faults.filter((fault) => !fault.startsWith("set-aside:")), log: next.log() };
  }
  const newest = (files: readonly string[], length: number) =>
    files.filter((one) => one.length === length).at(-1) ?? "";
  const partial = "000000010000000000000000.partial".length;

  test("may hold foreign files and folders, which stay as they are", async () => {
    const foreign = ["README", ".hidden", "00000001000000000000000g", "00000001000000000000000a", "x.partial"];
    const { contents, faults } = await goOnAfter(async (instance) => {
      for (const name of foreign) await writeFile(join(instance.directory, name), "foreign");
      await mkdir(join(instance.directory, "lost+found"));
    });
    expect(faults.sort()).toEqual(
      [...foreign, "lost+found"].map((name) => `${name}: neither a segment nor a history`).sort(),
    );
    for (const name of foreign) expect(contents.get(name)).toBe("foreign");
    expect(contents.get("lost+found")).toBe("no file");
  }, 120_000);

  test("may hold segments of timelines that nobody has: without WAL in them they are not gone on from", async () => {
    const foreign = ["0000000A0000000000000FFF", "0000000B0000000000000FFE.partial", "0000000C0000000000000FFD"];
    const { contents, faults, log } = await goOnAfter(async (instance) => {
      const [first = "", second = "", third = ""] = foreign.map((name) => join(instance.directory, name));
      await writeFile(first, new Uint8Array(mib));
      await writeFile(second, "no WAL, whatever its name says");
      await symlink("/dev/null", third);
    });
    expect(faults.filter((fault) => !/^0000000[ABC]0/.test(fault))).toEqual([]);
    expect([...contents.keys()]).toEqual(expect.arrayContaining(foreign));
    expect(contents.get("0000000B0000000000000FFE.partial")).toBe("no WAL, whatever its name says");
    expect(log).toMatch(/level=warn msg="A file in the receive folder is not used".*0000000A0000000000000FFF/);
  }, 120_000);

  test("may hold a segment that is cut off: it is received again, and the rest is kept", async () => {
    let cut = "";
    const { aside, faults } = await goOnAfter(async (instance, files) => {
      cut = newest(files, 24);
      await truncate(join(instance.directory, cut), 70_000);
      await rm(join(instance.directory, newest(files, partial)), { force: true });
    });
    expect(faults).toEqual([]);
    expect(aside.filter((name) => name.startsWith(cut))).toHaveLength(1);
  }, 120_000);

  test.each([0, 10, 5000, mib - 1])(
    "may hold a partial of %d bytes: what is missing comes again",
    async (bytes) => {
      const { aside, faults } = await goOnAfter((instance, files) =>
        truncate(join(instance.directory, newest(files, partial)), bytes),
      );
      expect(faults).toEqual([]);
      expect(aside).toEqual([]);
    },
    120_000,
  );

  test("may hold a partial that is too large: it is moved out of the way", async () => {
    const { aside, faults } = await goOnAfter((instance, files) =>
      appendFile(join(instance.directory, newest(files, partial)), "more"),
    );
    expect(faults).toEqual([]);
    expect(aside).toHaveLength(1);
  }, 120_000);

  test("may hold links in place of segments: what they lead to is not touched", async () => {
    await using elsewhere = await createFolder("holdfast-elsewhere");
    const target = join(elsewhere.path, "precious");
    await writeFile(target, "precious");
    const { faults } = await goOnAfter(async (instance, files) => {
      const number = Number.parseInt(newest(files, partial).slice(16, 24), 16) + 1;
      const next = `00000001${"0".repeat(8)}${number.toString(16).toUpperCase().padStart(8, "0")}`;
      await symlink(target, join(instance.directory, `${next}.partial`));
      await symlink(target, join(instance.directory, next));
    });
    expect(faults).toEqual([]);
    expect(await readFile(target, "utf8")).toBe("precious");
  }, 120_000);

  test("may lose the file that is being written: it is noticed at once, and received again", async () => {
    await using instance = await startInstance(server);
    await writeWal(server, 1);
    await instance.caughtUp(server);
    for (const file of await instance.files()) if (file.endsWith(".partial")) await rm(join(instance.directory, file));
    await waitFor(
      "the deletion to be noticed",
      async () => ((await instance.value("pgrwl_disconnects_total", { reason: "disk_error" })) ?? 0) > 0,
    );
    await server.psql("CREATE TABLE IF NOT EXISTS lost (n int); INSERT INTO lost VALUES (1)");
    await instance.caughtUp(server);
    expect((await instance.files()).some((file) => file.endsWith(".partial"))).toBe(true);
    expect(instance.log()).toContain("it was deleted; its segment is received again");
    expect(await faultsIn(instance.directory, server)).toEqual([]);
  }, 120_000);

  test("that may not be written to any more is told, and reception goes on once it may", async () => {
    const user = server.user;
    await using folder = await createFolder("holdfast-read-only", user);
    const directory = join(folder.path, "wal");
    await mkdir(directory);
    await giveTo(user, directory);
    await using instance = await startInstance(server, { directory, user });
    await instance.caughtUp(server);
    await chmod(directory, 0o500);
    await writeWal(server, 2);
    const { problem } = await instance.until("waiting");
    expect(problem).toMatch(/permission denied \(EACCES\); the agent's user must own the folder/);
    await waitFor(
      "the failure to be counted",
      async () => ((await instance.value("pgrwl_disconnects_total", { reason: "disk_error" })) ?? 0) > 0,
    );
    await instance.untilValue("pgrwl_connected", {}, 0);
    await chmod(directory, 0o700);
    await instance.caughtUp(server);
    expect(await faultsIn(directory, server)).toEqual([]);
  }, 120_000);

  test("has one receiver: a second agent is refused in words, and the first is not disturbed", async () => {
    await using instance = await startInstance(server);
    await instance.until("streaming");
    const sender = `SELECT pid FROM pg_stat_replication WHERE application_name = '${slot}'`;
    const pid = await server.psql(sender);
    const config = { slot: "holdfast_2", postgres: `host=${server.host} port=${server.port} user=postgres` };
    await using second = await startInstance(server, { directory: instance.directory, config });
    const { problem } = await second.until("waiting");
    expect(problem).toBe(`Cannot receive into ${instance.directory}: process ${instance.pid} already does`);
    expect(await server.psql(sender)).toBe(pid);
    // When the first ends, whatever the manner, the second takes over.
    await instance.kill();
    await second.until("streaming");
    await second.stop();
    await dropSlot(server, "holdfast_2");
  }, 120_000);
});
