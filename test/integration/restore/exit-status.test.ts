/** The exit status of `restore-command` decides whether PostgreSQL goes on, ends the recovery, or stops. */
import { expect, test } from "bun:test";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOnce } from "../../harness/agent.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { freePort } from "../../harness/ports.ts";
import { isRoot } from "../../harness/users.ts";
import { walSegment } from "../../harness/wal-segment.ts";
import { openArchive } from "./support.ts";

const name = "000000010000000000000003";
const systemIdentifier = 77n;

interface Place extends AsyncDisposable {
  readonly folder: string;
  readonly archive: string;
  readonly destination: string;
  /** Runs it in the folder of a cluster; without flags, with the configuration. */
  run(file: string, ...flags: string[]): Promise<{ status: number; stdout: string; stderr: string }>;
  configure(archive: object): Promise<void>;
}

/** An archive with one segment and a history. */
async function createPlace(): Promise<Place> {
  const folder = await createFolder("holdfast-restore-command");
  const archive = join(folder.path, "archive");
  const settings = { storage: { type: "local", directory: archive } } as const;
  await using written = await openArchive(settings);
  const segment = join(folder.path, name);
  await writeFile(segment, walSegment({ number: 3, systemIdentifier }));
  await written.put(name, segment);
  const history = join(folder.path, "00000002.history");
  await writeFile(history, "1\t0/3000000\tno recovery target specified\n");
  await written.put("00000002.history", history);
  await mkdir(join(folder.path, "data", "pg_wal"), { recursive: true });
  const file = join(folder.path, "holdfast.yml");
  const configure = (section: object) =>
    writeFile(
      file,
      `plugins: { wal: { plugin: pgrwl, config: ${JSON.stringify({ directory: join(folder.path, "none"), slot: "s", archive: section })} } }\n`,
    );
  await configure(settings);
  return {
    folder: folder.path,
    archive,
    destination: join(folder.path, "data", "pg_wal", "RECOVERYXLOG"),
    configure,
    run: (wanted, ...flags) => {
      const source = flags.length > 0 ? flags : [`--config.file=${file}`];
      const all = ["--prefetch=0", "--retry-timeout=0s", ...source, wanted, "pg_wal/RECOVERYXLOG"];
      return runOnce(["restore-command", ...all], { cwd: join(folder.path, "data") });
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function controlFile({ folder }: Place, identifier: bigint): Promise<void> {
  await mkdir(join(folder, "data", "global"));
  const bytes = Buffer.alloc(8192);
  bytes.writeBigUInt64LE(identifier);
  await writeFile(join(folder, "data", "global", "pg_control"), bytes);
}

describeWith(["dist/holdfast"], "restore-command", () => {
  test("0: the file is there, and nothing else", async () => {
    await using place = await createPlace();
    await controlFile(place, systemIdentifier);
    expect(await place.run(name)).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(await readFile(place.destination)).toEqual(walSegment({ number: 3, systemIdentifier }));
    expect(await readdir(join(place.folder, "data", "pg_wal"))).toEqual(["RECOVERYXLOG"]);
    expect((await place.run("00000002.history")).status).toBe(0);
  });

  test.each(["000000010000000000000004", "00000003.history", "000000010000000000000003.00000028.backup"])(
    "1: there is truly no %s, and nothing is said",
    async (wanted) => {
      await using place = await createPlace();
      expect(await place.run(wanted)).toEqual({ status: 1, stdout: "", stderr: "" });
      expect(await readdir(join(place.folder, "data", "pg_wal"))).toEqual([]);
    },
  );

  test("200: nobody answers", async () => {
    await using place = await createPlace();
    const { status, stderr } = await place.run("00000003.history", `--serve-addr=127.0.0.1:${await freePort()}`);
    expect(status).toBe(200);
    expect(stderr).toStartWith("holdfast restore-command: 00000003.history: Cannot get http://127.0.0.1:");
    expect(stderr.trimEnd()).not.toContain("\n");
  });

  test.each([500, 503, 429])("200: the agent answers %i", async (code) => {
    await using place = await createPlace();
    using server = Bun.serve({ port: 0, reusePort: false, fetch: () => new Response("no\n", { status: code }) });
    const { status, stderr } = await place.run(name, `--serve-addr=:${server.port}`);
    expect([status, stderr]).toEqual([200, expect.stringContaining(`status ${code}: no`)]);
  });

  test("200: the answer is cut off", async () => {
    await using place = await createPlace();
    const body = () =>
      new ReadableStream({
        pull(controller) {
          controller.enqueue(new Uint8Array(100));
          controller.error(new Error("cut"));
        },
      });
    const headers = { "holdfast-wal": "whole", "repr-digest": "sha-256=:AAAA:" };
    using server = Bun.serve({
      port: 0,
      reusePort: false,
      error: () => {},
      fetch: () => new Response(body(), { headers }),
    });
    expect((await place.run(name, `--serve-addr=:${server.port}`)).status).toBeGreaterThanOrEqual(200);
    expect(await readdir(join(place.folder, "data", "pg_wal"))).toEqual([]);
  });

  test("201: a 404 that is not that of an agent which looked for WAL", async () => {
    await using place = await createPlace();
    using server = Bun.serve({ port: 0, reusePort: false, fetch: () => new Response("no", { status: 404 }) });
    const { status, stderr } = await place.run("00000003.history", `--serve-addr=:${server.port}`);
    expect([status, stderr]).toEqual([201, expect.stringContaining("not as an agent does that looked for WAL")]);
  });

  test("201: the storage's folder is not there, as when a disk is not mounted", async () => {
    await using place = await createPlace();
    await place.configure({ storage: { type: "local", directory: join(place.folder, "missing") } });
    const { status, stderr } = await place.run(name);
    expect([status, stderr]).toEqual([201, expect.stringContaining("there is no such folder")]);
  });

  test("201: the archive holds no WAL at all", async () => {
    await using place = await createPlace();
    await mkdir(join(place.folder, "empty"));
    await place.configure({ storage: { type: "local", directory: join(place.folder, "empty") } });
    const { status, stderr } = await place.run("00000003.history");
    expect([status, stderr]).toEqual([201, expect.stringContaining("it holds no WAL at all")]);
  });

  test("201: the passphrase is another one", async () => {
    await using place = await createPlace();
    const storage = { type: "local", directory: join(place.folder, "encrypted") } as const;
    await using archive = await openArchive({ storage, encryption: { passphrase: "right" } });
    await archive.put(name, join(place.folder, name));
    await place.configure({ storage, encryption: { passphrase: "wrong" } });
    expect((await place.run(name)).status).toBe(201);
  });

  test("201: the WAL is another cluster's", async () => {
    await using place = await createPlace();
    await controlFile(place, 78n);
    const { status, stderr } = await place.run(name);
    expect([status, stderr]).toEqual([201, expect.stringContaining("system identifier 77, not of 78")]);
    expect(await readdir(join(place.folder, "data", "pg_wal"))).toEqual([]);
  });

  test("201: what an archive of another cluster does not have is not absent", async () => {
    await using place = await createPlace();
    await controlFile(place, 78n);
    for (const absent of ["00000003.history", "000000010000000000000009"]) {
      const { status, stderr } = await place.run(absent);
      expect([status, stderr]).toEqual([201, expect.stringContaining("system identifier 77, not of 78")]);
    }
    // After pg_upgrade one archive may have the WAL of both.
    const next = "000000010000000000000004";
    await writeFile(join(place.archive, "wal-archive", next), walSegment({ number: 4, systemIdentifier: 78n }));
    expect((await place.run("00000003.history")).status).toBe(1);
  });

  test("202: the object is damaged", async () => {
    await using place = await createPlace();
    await writeFile(join(place.archive, "wal-archive", name), new Uint8Array(2 ** 20));
    expect((await place.run(name)).status).toBe(202);
  });

  test.skipIf(isRoot)("203: it cannot be written where PostgreSQL wants it", async () => {
    await using place = await createPlace();
    await chmod(join(place.folder, "data", "pg_wal"), 0o500);
    expect((await place.run(name)).status).toBe(203);
  });

  test("203: there is no such folder", async () => {
    await using place = await createPlace();
    const config = `--config.file=${join(place.folder, "holdfast.yml")}`;
    expect((await runOnce(["restore-command", config, name, join(place.folder, "nowhere", "x")])).status).toBe(203);
  });

  test.each([
    [["--config.file=/nonexistent", name, "x"], "Cannot read the configuration"],
    [["--serve-addr=:1", "../../etc/passwd", "x"], "no name of a WAL file"],
    [["--serve-addr=:1", name], "%f %p"],
    [["--serve-addr=:1", "--config.file=x", name, "x"], "beside --serve-addr"],
    [["--token-file=x", name, "x"], "without --serve-addr"],
    [["--serve-addr=:1", "--token-file=/nonexistent", name, "x"], "--token-file"],
    [["--serve-addr=:1", "--retry-timeout=soon", name, "x"], "--retry-timeout=soon"],
    [["--serve-addr=:1", "--prefetch=-1", name, "x"], "--prefetch=-1"],
    [["--serv-addr=:1", name, "x"], "did you mean --serve-addr"],
    [[], "%f %p"],
    [["--serve-addr=:1", name, "x", "surplus"], "%f %p"],
    [["--serve-addr", name, "x"], "%f %p"],
    [[name, "x", "--retry-timeout"], "--retry-timeout needs a value"],
    [["--prefetch-into=/nonexistent", "--config.file=/nonexistent"], "Cannot read the configuration"],
  ])("204: a wrong command line is no end of the WAL: %j", async (args, message) => {
    const { status, stderr } = await runOnce(["restore-command", ...args]);
    expect([status, stderr]).toEqual([204, expect.stringContaining(message)]);
  });

  test.each([
    "plugins: {",
    "plugins: { wal: { plugin: pgrwl, config: { directry: /x } } }",
    "plugins: { barman: {} }",
    "plugins: { wal: { plugin: pgrwl, config: { directory: ${HOLDFAST_UNSET}, slot: s } } }",
  ])("204: the configuration is wrong: %s", async (text) => {
    await using place = await createPlace();
    await writeFile(join(place.folder, "holdfast.yml"), text);
    const { status, stderr } = await place.run(name);
    expect([status, stderr]).toEqual([204, expect.stringContaining("holdfast.yml")]);
  });

  test.skipIf(isRoot)("204: the configuration may not be read", async () => {
    await using place = await createPlace();
    await chmod(join(place.folder, "holdfast.yml"), 0);
    expect((await place.run(name)).status).toBe(204);
  });

  test("204: the configuration has no such instance", async () => {
    await using place = await createPlace();
    const { status, stderr } = await place.run(name, `--config.file=${place.folder}/holdfast.yml`, "--instance=other");
    expect([status, stderr]).toEqual([204, expect.stringContaining("it has wal")]);
  });

  test("204: the help is no WAL", async () => {
    await using place = await createPlace();
    expect((await place.run(name, "--help")).status).toBe(204);
  });

  test.each([
    ["an exception that nobody catches", "setTimeout(() => { throw new Error('boom'); }, 200);"],
    ["a rejection that nobody handles", "setTimeout(() => void Promise.reject(new Error('boom')), 200);"],
  ])("205: %s", async (_, fault) => {
    await using place = await createPlace();
    const preload = join(place.folder, "fault.ts");
    await writeFile(preload, fault);
    using server = Bun.serve({ port: 0, reusePort: false, fetch: () => new Promise<Response>(() => {}) });
    const env = { BUN_OPTIONS: `--preload=${preload}` };
    const args = ["restore-command", `--serve-addr=:${server.port}`, name, place.destination];
    const { status, stderr } = await runOnce(args, { env });
    expect([status, stderr]).toEqual([205, "holdfast restore-command: failed: boom\n"]);
    await server.stop(true);
  });

  // Some of these are enough on some machines.
  test.each([
    ...[100_000, 200_000, 300_000, 350_000, 370_000].map((kib) => `-v ${kib}`),
    ...[20_000, 60_000, 100_000].map((kib) => `-d ${kib}`),
    ...[5, 6].map((files) => `-n ${files}`),
  ])("126 or more: the machine is out of memory or files, ulimit %s", async (limit) => {
    await using place = await createPlace();
    const { agentExecutable } = await import("../../harness/agent.ts");
    const flags = `--prefetch=0 --retry-timeout=0s --config.file=${place.folder}/holdfast.yml`;
    const line = `ulimit -c 0 ${limit} && exec ${agentExecutable} restore-command ${flags} ${name} ${place.destination}`;
    const child = Bun.spawn(["bash", "-c", line], { stdout: "ignore", stderr: "ignore" });
    const status = await child.exited;
    expect(status === 0 || status >= 126).toBe(true);
    if (status !== 0) expect(await readdir(join(place.folder, "data", "pg_wal"))).not.toContain("RECOVERYXLOG");
  });

  test("143: PostgreSQL is told to stop meanwhile", async () => {
    await using place = await createPlace();
    const asked = Promise.withResolvers<void>();
    using server = Bun.serve({
      port: 0,
      reusePort: false,
      fetch: () => {
        asked.resolve();
        return new Promise<Response>(() => {});
      },
    });
    const { agentExecutable } = await import("../../harness/agent.ts");
    const child = Bun.spawn([
      agentExecutable,
      "restore-command",
      `--serve-addr=:${server.port}`,
      name,
      place.destination,
    ]);
    await asked.promise;
    child.kill("SIGTERM");
    expect(await child.exited).toBe(143);
    await server.stop(true);
  });
});
