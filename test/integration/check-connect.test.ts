/** `check --connect` finds what an instance cannot reach, and says what would do. */
import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runOnce } from "../harness/agent.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { startPostgres } from "../harness/postgres.ts";
import { type S3Server, startS3Server } from "../harness/s3/server.ts";
import { walSegment } from "../harness/wal-segment.ts";
import { openArchive } from "./restore/support.ts";
import { s3Settings } from "./storage/storages.ts";

async function check(config: object) {
  await using folder = await createFolder("holdfast-check");
  const file = join(folder.path, "holdfast.yml");
  const all = { directory: join(folder.path, "wal"), slot: "s", connect_timeout: "2s", ...config };
  await writeFile(file, `plugins: { wal: { plugin: pgrwl, config: ${JSON.stringify(all)} } }\n`);
  const { status, stdout, stderr } = await runOnce(["check", "--connect", `--config.file=${file}`]);
  return { status, stderr, lines: stdout.split("\n") };
}

const lineOf = ({ lines }: { lines: readonly string[] }, what: string) =>
  lines.find((line) => line.startsWith(`wal: ${what}`)) ?? lines.join("\n");

describeWith(["postgresql-15", "dist/holdfast"], "check --connect", () => {
  test("everything works", async () => {
    await using server = await startPostgres({}, { version: 15 });
    await using folder = await createFolder("holdfast-archive");
    const archive = { storage: { type: "local", directory: join(folder.path, "archive") } };
    const found = await check({ postgres: `host=127.0.0.1 port=${server.port} user=postgres`, archive });
    expect(found.status).toBe(0);
    expect(lineOf(found, "server")).toBe("wal: server: works");
    expect(lineOf(found, "archive")).toBe("wal: archive: works");
    expect(found.lines.join("\n")).toContain("There is no replication slot s");
    expect(await server.psql("SELECT count(*) FROM pg_replication_slots")).toBe("0\n");
  });

  test("the server is not there", async () => {
    const port = await freePort();
    const found = await check({ postgres: `host=127.0.0.1 port=${port} user=postgres` });
    expect([found.status, lineOf(found, "server")]).toEqual([1, expect.stringContaining(`127.0.0.1:${port}`)]);
  });

  const wrongs: readonly (readonly [string, (server: S3Server) => object, RegExp])[] = [
    ["another secret key", () => ({ secret_access_key: "wrong" }), /secret|sign/i],
    ["a bucket that is missing", () => ({ bucket: "missing" }), /bucket/i],
    ["nobody there", () => ({ endpoint: "http://127.0.0.1:1" }), /127\.0\.0\.1:1/],
  ];
  test.each(wrongs)("S3: %s", async (_, wrong, message) => {
    await using s3 = startS3Server();
    const archive = { storage: { ...s3Settings(s3), attempts: 1, ...wrong(s3) } };
    const found = await check({ postgres: "host=127.0.0.1 port=1 user=postgres", archive });
    expect(found.status).toBe(1);
    expect(lineOf(found, "archive")).toMatch(message);
  });

  test("S3: a clock that is off", async () => {
    await using s3 = startS3Server();
    s3.clockOffsetMs = 3_600_000;
    const found = await check({ archive: { storage: s3Settings(s3) } });
    expect(lineOf(found, "archive")).toMatch(/clock/i);
  });

  test("the passphrase is not that of what is archived", async () => {
    await using folder = await createFolder("holdfast-archive");
    const storage = { type: "local", directory: join(folder.path, "archive") } as const;
    await mkdir(storage.directory);
    await using archive = await openArchive({ storage, encryption: { passphrase: "the right one" } });
    const name = "000000010000000000000003";
    await writeFile(join(folder.path, name), walSegment({ number: 3 }));
    await archive.put(name, join(folder.path, name));
    const found = await check({ archive: { storage, encryption: { passphrase: "another one" } } });
    expect(lineOf(found, "archive")).toMatch(/decrypt/);
    expect(found.lines.join("\n")).not.toContain("another one");
  });
});
