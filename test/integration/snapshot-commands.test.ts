import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder, type TemporaryFolder } from "../harness/folders.ts";
import {
  skipHeadName,
  skipHeadTar,
  snapshotFolderFixture,
  withHeadArchive,
  withHeadName,
} from "../harness/snapshot-fixture.ts";
import { prometheusAnswering, type SnapshotServer, startSnapshotServer } from "../harness/snapshot-server.ts";
import { waitFor } from "../harness/wait.ts";

const main = new URL("../../agent/main.ts", import.meta.url).pathname;
const block = "01M7YES8CFHH15SSVT05T7XN09";

let fixture: TemporaryFolder;
let server: SnapshotServer;
let prometheus: ReturnType<typeof prometheusAnswering>;
beforeAll(async () => {
  fixture = await snapshotFolderFixture();
  const body = JSON.stringify({ status: "success", data: { name: skipHeadName } });
  prometheus = prometheusAnswering(() => ({ body }));
  server = await startSnapshotServer({ folder: fixture.path, prometheus: prometheus.url });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await prometheus[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});

async function snapshot(args: readonly string[], cwd = "/tmp", env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, main, "snapshot", ...args], {
    cwd,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, PROMBACKUP_ENDPOINT: "", ...env },
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).bytes(), new Response(child.stderr).text()]);
  return { status: await child.exited, stdout: Buffer.from(stdout), stderr };
}

const whole = async () => Buffer.from(await Bun.file(skipHeadTar).arrayBuffer());

describe("create", () => {
  test("makes a file of the server's name, or the one that was named, and leaves nothing beside", async () => {
    await using folder = await createFolder("holdfast-create");
    expect(await snapshot(["create", `-server=${server.url}`], folder.path)).toMatchObject({ status: 0, stderr: "" });
    const named = await snapshot(["create", "-output", "x.tgz", "-format=tgz", "-skip_head=true"], folder.path, {
      PROMBACKUP_ENDPOINT: `${server.url}//`,
    });
    expect(named).toMatchObject({ status: 0, stderr: "" });
    expect((await readdir(folder.path)).sort()).toEqual([`${skipHeadName}.tar`, "x.tgz"]);
    expect((await readFile(join(folder.path, `${skipHeadName}.tar`))).equals(await whole())).toBe(true);
    const again = await snapshot(["create", "--server", server.url], folder.path);
    expect(again).toMatchObject({ status: 1 });
    expect(again.stderr).toContain("it is there already");
    expect((await readdir(folder.path)).sort()).toEqual([`${skipHeadName}.tar`, "x.tgz"]);
  });

  test("writes to stdout, and nothing else there", async () => {
    const { status, stdout, stderr } = await snapshot(["create", "--server", server.url, "--output=-"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.equals(await whole())).toBe(true);
  });

  test.each([
    [["create"], 1, "missing --server flag"],
    [["create", "--server=localhost:8080"], 1, "Cannot read the server"],
    [["create", "--server=http://127.0.0.1:1", "--format=rar"], 2, "expected tar, tgz, tzst or zip"],
    [["create", "--server=http://127.0.0.1:1", "extra"], 2, "Expected: holdfast snapshot create"],
    [["create", "--servr=x"], 2, "did you mean --server?"],
    [
      ["create", "--server=http://127.0.0.1:1", "--output=/nowhere/x"],
      1,
      "Cannot write to /nowhere: ENOENT: no such file",
    ],
    [["create", "--server=http://user:s3cret@127.0.0.1:1"], 1, "connection refused"],
    [["create", "--server=user:s3cret@127.0.0.1:1"], 1, "Cannot read the server: expected a URL"],
    [["create", "--server=http://user:s3cret@127.0.0.1:port"], 1, "Cannot read the server: expected a URL"],
  ])("%j ends with %d: %s", async (args, status, message) => {
    await using folder = await createFolder("holdfast-create");
    const ended = await snapshot(args as string[], folder.path);
    expect(ended.status).toBe(status as number);
    expect(ended.stderr).toContain(message as string);
    expect(ended.stderr).not.toContain("s3cret");
    expect(await readdir(folder.path)).toEqual([]);
  });

  test("a server that is gone leaves the file of the last time as it was", async () => {
    await using folder = await createFolder("holdfast-create");
    await writeFile(join(folder.path, "F"), "precious");
    const { status } = await snapshot(["create", "--server=http://127.0.0.1:1", "--output=F"], folder.path);
    expect(status).toBe(1);
    expect(await readdir(folder.path)).toEqual(["F"]);
    expect(await readFile(join(folder.path, "F"), "utf8")).toBe("precious");
  });

  test("a full disk is told", async () => {
    const { status, stderr } = await snapshot(["create", "--server", server.url, "--output=/dev/full"]);
    expect(status).toBe(1);
    expect(stderr).toContain("Cannot write to /dev/full: ENOSPC");
  });

  /** Answers a status as given, and all else as the original would. */
  function originalWith(status: (sha256: string) => unknown) {
    return Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      development: false,
      async fetch(request) {
        const { pathname } = new URL(request.url);
        const body = await whole();
        if (pathname === "/api/snapshot") {
          return Response.json({ name: skipHeadName }, { status: 303, headers: { Location: "./download" } });
        }
        if (pathname === "/api/download") {
          const headers = {
            "Content-Type": "application/x-tar",
            "Content-Disposition": `attachment; filename=${skipHeadName}.tar`,
            "X-Prombackup-Download-Id": "1",
          };
          return new Response(body, { headers });
        }
        const answer = status(new Bun.CryptoHasher("sha256").update(body).digest("hex"));
        return answer === 404 ? new Response("Download 1 not found\n", { status: 404 }) : Response.json(answer);
      },
    });
  }
  const finished = (success: boolean, error_text: string | null, sha256_hex: string) => ({
    id: "1",
    snapshot_name: skipHeadName,
    finished: { success, error_text, sha256_hex },
  });

  test.each([
    ["success", (sha: string) => finished(true, null, sha), 0, ""],
    ["another digest", () => finished(true, null, "00"), 1, "SHA256 checksum mismatch"],
    [
      "a failure",
      () => finished(false, "open NAME/index: permission denied", ""),
      1,
      "download failed: open NAME/index",
    ],
    ["a failure without words", () => finished(false, null, ""), 1, "download failed"],
    ["an unknown download", () => 404, 1, "Download 1 not found"],
  ])("a clean end is no proof: the status says %s", async (_, status, exit, message) => {
    await using folder = await createFolder("holdfast-create");
    using original = originalWith(status);
    const ended = await snapshot(["create", `--server=http://127.0.0.1:${original.port}`], folder.path);
    expect(ended.status).toBe(exit);
    expect(ended.stderr).toContain(message);
    expect(await readdir(folder.path)).toHaveLength(exit === 0 ? 1 : 0);
  });

  /** A road to the server that ends each of the first connections for a download after so many bytes. */
  async function breakingAfter(bytes: number, times: number) {
    const target = Number(new URL(server.url).port);
    const ranges: string[] = [];
    let left = times;
    const proxy = createServer((client: Socket) => {
      const upstream = connect(target, "127.0.0.1");
      let passed = 0;
      let isDownload = false;
      client.on("data", (data: Buffer) => {
        const text = data.toString("latin1");
        if (text.startsWith("GET /api/download?")) {
          isDownload = true;
          ranges.push(/^range: (.*)\r$/im.exec(text)?.[1] ?? "");
        }
        upstream.write(data);
      });
      upstream.on("data", (data: Buffer) => {
        if (isDownload && left > 0 && passed + data.length > bytes) {
          left--;
          client.write(data.subarray(0, bytes - passed), () => client.resetAndDestroy());
          upstream.destroy();
          return;
        }
        passed += data.length;
        client.write(data);
      });
      for (const socket of [client, upstream]) socket.on("error", () => {});
      client.on("close", () => upstream.destroy());
      upstream.on("close", () => client.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    return {
      url: `http://127.0.0.1:${(proxy.address() as { port: number }).port}`,
      ranges,
      [Symbol.dispose]: () => void proxy.close(),
    };
  }

  test("a broken connection is taken up where it broke", async () => {
    await using folder = await createFolder("holdfast-create");
    using road = await breakingAfter(20_000, 2);
    const { status, stderr } = await snapshot(["create", "--server", road.url, "--output=F"], folder.path);
    expect([status, stderr.match(/going on after/g)?.length]).toEqual([0, 2]);
    expect(road.ranges).toHaveLength(3);
    expect(road.ranges[2]).toMatch(/^bytes=\d+-$/);
    expect(await readdir(folder.path)).toEqual(["F"]);
    expect((await readFile(join(folder.path, "F"))).equals(await whole())).toBe(true);
  });

  /** A road to the server that is cut where somebody asks how a download went; fetch() itself asks a second time. */
  async function brokenAtTheStatus() {
    let cuts = 0;
    const proxy = createServer((client: Socket) => {
      const upstream = connect(Number(new URL(server.url).port), "127.0.0.1");
      client.on("data", (data: Buffer) => {
        const isCut = data.toString("latin1").startsWith("GET /api/download_status") && ++cuts <= 3;
        if (isCut) client.resetAndDestroy();
        else upstream.write(data);
      });
      upstream.on("data", (data: Buffer) => client.write(data));
      for (const socket of [client, upstream]) socket.on("error", () => {});
      client.on("close", () => upstream.destroy());
      upstream.on("close", () => client.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as { port: number };
    return { url: `http://127.0.0.1:${port}`, [Symbol.dispose]: () => void proxy.close() };
  }

  test("a connection that breaks behind the last byte costs nothing", async () => {
    await using folder = await createFolder("holdfast-create");
    using road = await brokenAtTheStatus();
    const { status, stderr } = await snapshot(["create", "--server", road.url, "--output=F"], folder.path);
    expect([status, stderr]).toEqual([0, expect.stringContaining("going on after")]);
    expect(await readdir(folder.path)).toEqual(["F"]);
    expect((await readFile(join(folder.path, "F"))).equals(await whole())).toBe(true);
  });

  test("a compressed archive cannot be taken up, and is not left half", async () => {
    await using folder = await createFolder("holdfast-create");
    using road = await breakingAfter(10_000, 9);
    const args = ["create", "--server", road.url, "--output=F", "--format=tgz", "--keep_partial"];
    const { status } = await snapshot(args, folder.path);
    expect([status, await readdir(folder.path)]).toEqual([1, []]);
  });

  test("what was kept of an archive stays when going on with it fails, and is gone on with the next time", async () => {
    await using folder = await createFolder("holdfast-create");
    const { headers } = await server.fetch(`/api/download?name=${skipHeadName}`, { method: "HEAD" });
    const partial = join(folder.path, "F.partial-0123abcd");
    await writeFile(partial, (await whole()).subarray(0, 20_000));
    const note = { server: server.url, name: skipHeadName, format: "tar", etag: headers.get("etag"), bytes: 20_000 };
    await writeFile(`${partial}.json`, JSON.stringify(note));
    using locked = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("", { status: 401 }) });
    const refused = await snapshot(["create", `--server=http://127.0.0.1:${locked.port}`, `--resume=${partial}`]);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining(`--resume ${partial}`)]);
    expect(await snapshot(["create", `--server=${server.url}`, `--resume=${partial}`])).toMatchObject({ status: 0 });
    expect(await readdir(folder.path)).toEqual(["F"]);
    expect((await readFile(join(folder.path, "F"))).equals(await whole())).toBe(true);
  });

  test("an archive that fails on the server is not asked for again, and the reason is told", async () => {
    await using folder = await createFolder("holdfast-create");
    const name = "20200101T000000Z-00000000000000aa";
    await mkdir(join(fixture.path, name));
    await writeFile(join(fixture.path, name, "index"), "x".repeat(2_000_000));
    await symlink("/etc/passwd", join(fixture.path, name, "link"));
    const { status, stderr } = await snapshot(["create", "--server", server.url, "--name", name], folder.path);
    expect(status).toBe(1);
    expect(stderr).toContain(`download failed: unsupported file type: ${name}/link (L---------)`);
    expect(await readdir(folder.path)).toEqual([]);
  });
});

describe("list and prune", () => {
  test("list shows what is there", async () => {
    const { status, stdout } = await snapshot(["list", "--server", server.url]);
    expect(status).toBe(0);
    expect(stdout.toString()).toMatch(/^NAME +TIME +SIZE +OWN +BLOCKS +VERIFIED +IN USE\n/);
    expect(stdout.toString()).toContain(skipHeadName);
  });

  test("prune tells what it would remove", async () => {
    const { status, stdout } = await snapshot(["prune", "-server", server.url, "-keep_within", "0", "-dry_run"]);
    expect(status).toBe(0);
    expect(stdout.toString()).toContain(`would remove ${withHeadName}\n`);
  });
});

describe("verify and restore", () => {
  test.each([skipHeadTar, withHeadArchive])("verify reads %s", async (archive) => {
    const { status, stdout } = await snapshot(["verify", archive]);
    expect(status).toBe(0);
    expect(stdout.toString()).toMatch(/^01M7YES8CFHH15SSVT05T7XN09 .* right\n/);
  });

  test("verify finds damage, in an archive too", async () => {
    await using folder = await createFolder("holdfast-verify");
    const bytes = await whole();
    // In the first chunk of the first segment.
    bytes[2300] = (bytes[2300] ?? 0) ^ 1;
    await writeFile(join(folder.path, "x.tar"), bytes);
    const { status, stdout } = await snapshot(["verify", join(folder.path, "x.tar")]);
    expect(status).toBe(1);
    expect(stdout.toString()).toContain(`damaged: ${block}/chunks/000001: chunk: checksum`);
    const restored = await snapshot(["restore", join(folder.path, "x.tar"), join(folder.path, "data")]);
    expect(restored.status).toBe(1);
    expect(restored.stderr).toContain("it is damaged, nothing was restored");
    expect(await readdir(folder.path)).toEqual(["x.tar"]);
  });

  test.each(["tar", "tgz", "tzst", "zip"])("restore takes a %s from create", async (format) => {
    await using folder = await createFolder("holdfast-restore");
    const archive = join(folder.path, "archive");
    const created = await snapshot(["create", "--server", server.url, "--format", format, "--output", archive]);
    expect(created).toMatchObject({ status: 0 });
    const data = join(folder.path, "data");
    const { status, stdout, stderr } = await snapshot(["restore", archive, data, "--retention=1h"]);
    expect(status).toBe(0);
    expect(stdout.toString()).toStartWith(`restored ${block}\n`);
    expect(stderr).toContain("deletes what is older");
    expect((await readdir(data)).sort()).toEqual([block, "01M7YES8D3BXZ143VZS1HDNWSF"]);
    const again = await snapshot(["restore", archive, data]);
    expect(again.status).toBe(1);
    expect(again.stderr).toContain("it is not empty");
  });

  test("restore takes some blocks, and a folder", async () => {
    await using folder = await createFolder("holdfast-restore");
    const source = join(fixture.path, skipHeadName);
    const one = await snapshot(["restore", source, join(folder.path, "one"), `--blocks=${block}`]);
    expect([one.status, one.stdout.toString()]).toEqual([0, `restored ${block}\n`]);
    const late = await snapshot(["restore", source, join(folder.path, "late"), "--from=2026-11-19T16:00:00Z"]);
    expect(late.stdout.toString()).toBe("restored 01M7YES8D3BXZ143VZS1HDNWSF\n");
  });

  test("restore restores all of the blocks that are named, or none", async () => {
    await using folder = await createFolder("holdfast-restore");
    const data = join(folder.path, "data");
    const unknown = "01M7YES8D3BXZ143VZS1HDNWSG";
    for (const source of [join(fixture.path, skipHeadName), skipHeadTar]) {
      const { status, stdout, stderr } = await snapshot(["restore", source, data, `--blocks=${block},${unknown}`]);
      expect([status, stdout.toString()]).toEqual([1, ""]);
      expect(stderr).toContain(`there is no block ${unknown} in it, nothing was restored`);
      expect(await readdir(folder.path)).toEqual([]);
    }
  });

  test.each([
    ["a path that climbs", ["--transform=s,^x/,../../x/,", "-P"]],
    ["an absolute path", ["--transform=s,^x/,/tmp/x/,", "-P"]],
  ])("restore refuses %s", async (_, options) => {
    await using folder = await createFolder("holdfast-hostile");
    await mkdir(join(folder.path, "x", block), { recursive: true });
    await writeFile(join(folder.path, "x", block, "index"), "x");
    await refused(folder.path, [...options, "x"], "leads out of the archive");
  });

  test("restore refuses links, what is twice in an archive, sizes beyond its end, and what is cut short", async () => {
    await using folder = await createFolder("holdfast-hostile");
    await mkdir(join(folder.path, "x", block), { recursive: true });
    await symlink("/etc/passwd", join(folder.path, "x", block, "index"));
    await refused(folder.path, ["x"], "neither a file nor a folder");
    const bytes = await whole();
    // 1 TiB as GNU tar writes it, with the checksum that it then has.
    const hostile = Buffer.from(bytes);
    hostile.write("800000000000010000000000", 1536 + 124, "hex");
    fixChecksum(hostile.subarray(1536, 2048));
    await writeFile(join(folder.path, "y.tar"), hostile);
    await refusedArchive(folder.path, "y.tar", "more than");
    await writeFile(join(folder.path, "z.tar"), bytes.subarray(0, 30_000));
    await refusedArchive(folder.path, "z.tar", "cut short");
    const twice = Buffer.concat([bytes.subarray(0, bytes.length - 1024), bytes]);
    await writeFile(join(folder.path, "w.tar"), twice);
    await refusedArchive(folder.path, "w.tar", "is in it twice");
    await writeFile(join(folder.path, "v.tar"), "nothing of the kind");
    await refusedArchive(folder.path, "v.tar", "is no archive");
  });

  test("restore that is told to stop leaves nothing behind", async () => {
    await using folder = await createFolder("holdfast-restore");
    const sha256_hex = "ab".repeat(32);
    const content = { path: `${block}/index`, size_bytes: 1, sha256_hex };
    const completed = "2026-11-19T16:00:00Z";
    const manifest = { version: 1, name: skipHeadName, completed, verified: true, blocks: [], files: [content] };
    await mkdir(join(folder.path, "backups"));
    await mkdir(join(folder.path, "files", "ab"), { recursive: true });
    // Whoever opens it waits for a writer.
    await Bun.$`mkfifo ${join(folder.path, "files", "ab", sha256_hex)}`;
    const backup = join(folder.path, "backups", `${skipHeadName}.json`);
    await writeFile(backup, JSON.stringify(manifest));
    const data = join(folder.path, "data");
    const child = Bun.spawn([process.execPath, main, "snapshot", "restore", backup, data], { stderr: "ignore" });
    const hasBegun = async () => (await readdir(data, { recursive: true }).catch(() => [])).length > 2;
    await waitFor("a file to be restored", hasBegun);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    expect((await readdir(folder.path)).sort()).toEqual(["backups", "files"]);
  });

  function fixChecksum(header: Buffer): void {
    header.fill(" ", 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }

  async function refused(folder: string, args: readonly string[], message: string): Promise<void> {
    const made = Bun.spawn(["tar", "-cf", "h.tar", ...args], { cwd: folder });
    expect(await made.exited).toBe(0);
    await refusedArchive(folder, "h.tar", message);
  }

  async function refusedArchive(folder: string, archive: string, message: string): Promise<void> {
    const { status, stderr } = await snapshot(["restore", join(folder, archive), join(folder, "data")]);
    expect(stderr).toContain(message);
    expect(status).toBe(1);
    expect(await readdir(folder)).not.toContain("data");
  }
});

describeWith(["strace"], "restore, watched", () => {
  test.each([
    ["a folder", () => join(fixture.path, skipHeadName)],
    ["an archive", () => skipHeadTar],
  ])("from %s: all is on disk before it has its name", async (_, source) => {
    await using folder = await createFolder("holdfast-restore");
    const trace = join(folder.path, "trace");
    const data = join(folder.path, "data");
    const traced = ["strace", "-f", "-y", "-e", "trace=fsync,rename", "-o", trace];
    const command = [process.execPath, main, "snapshot", "restore", "--quiet", source(), data];
    expect(await Bun.spawn([...traced, ...command], { stdio: ["ignore", "ignore", "ignore"] }).exited).toBe(0);
    const lines = (await readFile(trace, "utf8")).split("\n");
    const before = lines.slice(
      0,
      lines.findIndex((line) => line.includes("rename(")),
    );
    const synced = new Set(
      before.flatMap((line) => /fsync\(\d+<[^>]*\/\.restore-[^/>]*\/([^>]+)>/.exec(line)?.[1] ?? []),
    );
    for (const one of [block, "01M7YES8D3BXZ143VZS1HDNWSF"])
      for (const file of ["", "/chunks", "/chunks/000001", "/index", "/meta.json", "/tombstones"])
        expect(synced).toContain(`${one}${file}`);
  });
});
