import { describe, expect, test } from "bun:test";
import { chmod, link, mkdir, readdir, readlink, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { createFolder } from "../harness/folders.ts";
import { skipHeadName, skipHeadTar, snapshotFolderFixture, withHeadName } from "../harness/snapshot-fixture.ts";
import { emptySnapshot, prometheusAnswering, startSnapshotServer } from "../harness/snapshot-server.ts";
import { isRoot } from "../harness/users.ts";
import { waitFor } from "../harness/wait.ts";

const recordings = new URL("../fixtures/prometheus/2.42/", import.meta.url);
const sha256 = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

interface Status {
  id: string;
  snapshot_name: string;
  finished: { success: boolean; error_text: string | null; sha256_hex: string } | null;
}

interface Recorded {
  readonly title: string;
  readonly request: { method: string; path: string };
  readonly response: { status: number; headers: [string, string][]; body: unknown };
}

async function recordedExchange(title: string): Promise<Recorded> {
  const { exchanges } = (await Bun.file(new URL("prombackup-wire.json", recordings)).json()) as {
    exchanges: Recorded[];
  };
  const found = exchanges.find((one) => one.title === title);
  if (!found) throw new Error(`No recording ${title}`);
  return found;
}

/** Headers that both sides have, but for those that a proxy or a connection sets. */
const compared = ["content-type", "access-control-allow-methods", "x-content-type-options", "content-length"];

describe("answers as recorded from the original", () => {
  test.each([
    "wrong method",
    "preflight",
    "trailing slash",
    "bad skip_head",
    "no name",
    "bad name",
    "traversal",
    "newline",
    "unknown snapshot",
    "status without id",
    "prune wrong method",
  ])("%s", async (title) => {
    const { request, response } = await recordedExchange(title);
    await using server = await startSnapshotServer();
    const answer = await server.fetch(request.path, { method: request.method });
    expect(answer.status).toBe(response.status);
    expect(await answer.text()).toBe(String(response.body));
    for (const [name, value] of response.headers) {
      if (compared.includes(name.toLowerCase())) expect([name, answer.headers.get(name)]).toEqual([name, value]);
    }
  });
});

test.each([
  ["//api/snapshot", "/api/snapshot"],
  ["/api/./x/../prune?keep_within=1h", "/api/prune?keep_within=1h"],
])("%s is sent to the cleaned path", async (path, location) => {
  await using server = await startSnapshotServer();
  // Bun's own client would clean it.
  const curl = Bun.spawn(["curl", "-s", "-i", "--path-as-is", "-X", "POST", server.url + path]);
  const text = await new Response(curl.stdout).text();
  if (path.startsWith("//")) expect(text).toStartWith("HTTP/1.1 301");
  if (path.startsWith("//")) expect(text.toLowerCase()).toContain(`\r\nlocation: ${location}\r\n`);
  // Bun's server resolves dot segments before anybody sees them.
  else expect(text).toStartWith("HTTP/1.1 200");
});

describe("taking a snapshot", () => {
  async function withPrometheus(name = "20261121T071909Z-389721497d031c58") {
    const prometheus = prometheusAnswering(() => ({ body: JSON.stringify({ status: "success", data: { name } }) }));
    const server = await startSnapshotServer({ prometheus: prometheus.url });
    await emptySnapshot(server.folder, name);
    return {
      server,
      prometheus,
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await prometheus[Symbol.asyncDispose]();
      },
    };
  }

  test("answers with a name and the way to its download, as the original does", async () => {
    const { response } = await recordedExchange("create snapshot");
    await using both = await withPrometheus();
    const answer = await both.server.post("/api/snapshot?skip_head=false");
    expect(answer.status).toBe(303);
    expect(await answer.text()).toBe(String(response.body));
    for (const [name, value] of response.headers) if (name !== "Date") expect(answer.headers.get(name)).toBe(value);
    expect(both.prometheus.requests[0]?.path).toBe("/api/v1/admin/tsdb/snapshot?skip_head=false");
  });

  test("the form's body wins over the query, and a multipart body has no parameters", async () => {
    await using both = await withPrometheus();
    const form = await both.server.post("/api/snapshot?skip_head=banana", { skip_head: "1", download_format: "tzst" });
    expect(form.headers.get("location")).toBe("./download?format=tzst&name=20261121T071909Z-389721497d031c58");
    const multipart = new FormData();
    multipart.set("skip_head", "banana");
    expect((await both.server.fetch("/api/snapshot", { method: "POST", body: multipart })).status).toBe(303);
    expect(both.prometheus.requests.map(({ path }) => path.split("=")[1])).toEqual(["true", "false"]);
  });

  test.each(["1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False", ""])(
    "takes skip_head=%s",
    async (text) => {
      await using both = await withPrometheus();
      expect((await both.server.post(`/api/snapshot?skip_head=${text}`)).status).toBe(303);
      const expected = text !== "" && "1tTtrue".includes(text.charAt(0));
      expect(both.prometheus.requests[0]?.path).toEndWith(`skip_head=${expected}`);
    },
  );

  test.each([
    ["%zz", 'invalid URL escape "%zz"'],
    ["a;b", "invalid semicolon separator in query"],
    ["skip_head=yes", 'Parsing skip_head: strconv.ParseBool: parsing "yes": invalid syntax'],
    ["skip_head=2", 'Parsing skip_head: strconv.ParseBool: parsing "2": invalid syntax'],
    ["download_format=rar", "unknown archive format: rar"],
  ])("refuses %s before a snapshot is made", async (query, message) => {
    await using both = await withPrometheus();
    const answer = await both.server.post(`/api/snapshot?${query}`);
    expect([answer.status, await answer.text()]).toEqual([400, `${message}\n`]);
    expect(both.prometheus.requests).toEqual([]);
  });

  test("a page of another site cannot take one", async () => {
    await using both = await withPrometheus();
    const headers: Record<string, string>[] = [
      { "Sec-Fetch-Site": "cross-site" },
      { Origin: "https://evil.example" },
      { Origin: "null" },
    ];
    for (const header of headers) {
      expect((await both.server.fetch("/api/snapshot", { method: "POST", headers: header })).status).toBe(403);
    }
    const own = await both.server.fetch("/api/snapshot", { method: "POST", headers: { Origin: both.server.url } });
    expect(own.status).toBe(303);
  });

  const recorded = (file: string) => Bun.file(new URL(file, recordings)).text();
  test.each([
    ["admin-disabled-post.json", 500, "admin APIs disabled: start Prometheus with --web.enable-admin-api"],
    ["agent-mode-post.json", 422, "unavailable with Prometheus Agent"],
    ["snapshot-error-mkdir.json", 500, "mkdir /var/lib/prometheus/data/snapshots: not a directory"],
    ["snapshot-error-link.json", 500, "create snapshot tombstones: link"],
    ["auth-wrong.txt", 401, "status 401"],
    ["not-found.txt", 404, "check the url"],
    ["not-ready-post.txt", 503, "Prometheus starts or stops"],
  ])("tells Prometheus' own reason: %s", async (file, status, expected) => {
    const body = await recorded(file);
    await using prometheus = prometheusAnswering(() => ({ status, body }));
    await using server = await startSnapshotServer({ prometheus: prometheus.url });
    const answer = await server.post("/api/snapshot");
    const text = await answer.text();
    expect(answer.status).toBe(500);
    expect(text).toStartWith("Creating snapshot failed: ");
    expect(text).toContain(expected);
    expect(text.trim().split("\n")).toHaveLength(1);
    expect(prometheus.requests).toHaveLength(1);
  });

  test.each([
    [{ body: "<html><body>Bad gateway</body></html>", status: 502 }, "status 502"],
    [{ body: "" }, "gave no name of a snapshot"],
    [{ body: "{}" }, "gave no name of a snapshot"],
    [{ body: '{"status":"success","data":{"name":""}}' }, "gave no name of a snapshot"],
    [{ body: "", status: 307, headers: { Location: "http://127.0.0.1:1/" } }, "redirects are not followed"],
    [{ body: '{"status":"success","data":{"name":"../evil"}}' }, 'invalid snapshot name: "../evil"'],
    [{ body: '{"status":"success","data":{"name":"20261121T071909Z-00000000000000aa"}}' }, "is not in snapshot_dir"],
  ])("one clear error for %j", async (given, expected) => {
    await using prometheus = prometheusAnswering(() => given);
    await using server = await startSnapshotServer({ prometheus: prometheus.url });
    const answer = await server.post("/api/snapshot");
    const text = await answer.text();
    expect(answer.status).toBe(500);
    expect(text).toContain(expected);
    expect(text.trim().split("\n")).toHaveLength(1);
  });

  test("a Prometheus that is down, or that takes too long, is told", async () => {
    await using down = await startSnapshotServer();
    expect(await (await down.post("/api/snapshot")).text()).toContain("connection refused");
    const silent = createServer().listen(0, "127.0.0.1");
    await waitFor("the silent server", () => silent.listening);
    const { port } = silent.address() as { port: number };
    const prometheus = { url: `http://user:s3cret@127.0.0.1:${port}`, timeout: "100ms" };
    await using slow = await startSnapshotServer({ config: { prometheus } });
    const text = await (await slow.post("/api/snapshot")).text();
    expect(text).toContain("no answer of Prometheus after 0.1 s");
    expect(text).not.toContain("s3cret");
    silent.close();
  });

  test("a user and a password in the URL become a header", async () => {
    await using prometheus = prometheusAnswering(() => ({ status: 401, body: "Unauthorized" }));
    const url = prometheus.url.replace("//", "//user:p%40ss@");
    await using server = await startSnapshotServer({ prometheus: url });
    await server.post("/api/snapshot");
    const { authorization } = prometheus.requests[0] ?? {};
    expect(Buffer.from(authorization?.split(" ")[1] ?? "", "base64").toString()).toBe("user:p@ss");
  });
});

describe("downloads", () => {
  test.each(["..%2f..%2fetc-passwd", "a/b-c", "a-b-c", "bad_name", "a-b%0a", ".-a", "a.b-c", "%C5%BF-b", "%00-a"])(
    "refuse the name %s and quote it",
    async (name) => {
      await using server = await startSnapshotServer();
      const answer = await server.fetch(`/api/download?name=${name}`);
      expect(answer.status).toBe(400);
      expect(await answer.text()).toStartWith('invalid snapshot name: "');
    },
  );

  test("look at the format before the snapshot, and at what is there", async () => {
    await using server = await startSnapshotServer();
    expect(await server.text("/api/download?name=a-b&format=rar")).toBe("unknown archive format: rar\n");
    expect(await server.text("/api/download?name=a-b&format=")).toBe("snapshot not found: a-b\n");
    await writeFile(join(server.folder, "a-file"), "");
    expect(await server.text("/api/download?name=a-file")).toBe("snapshot invalid: a-file\n");
    await symlink("/nowhere", join(server.folder, "a-link"));
    expect(await server.text("/api/download?name=a-link")).toBe("snapshot invalid: a-link\n");
    expect((await server.text("/api/downloads")).includes('"downloads": []')).toBe(true);
  });

  test.each([
    ["tar", "application/x-tar", ".tar"],
    ["tgz", "application/gzip", ".tar.gz"],
    ["tzst", "application/zstd", ".tar.zst"],
    ["zip", "application/zip", ".zip"],
  ])("%s: headers, and the digest of the body in the status at once", async (format, type, extension) => {
    await using fixture = await snapshotFolderFixture();
    await using server = await startSnapshotServer({ folder: fixture.path });
    const answer = await server.fetch(`/api/download?name=${withHeadName}&format=${format}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe(type);
    expect(answer.headers.get("content-disposition")).toBe(`attachment; filename=${withHeadName}${extension}`);
    expect(answer.headers.get("content-encoding")).toBeNull();
    const id = answer.headers.get("x-prombackup-download-id") ?? "";
    expect(id).toMatch(/^\d{14}_\d{6}[0-9a-f]{8}$/);
    const body = await answer.bytes();
    const status = (await (await server.fetch(`/api/download_status?id=${id}`)).json()) as Status;
    expect(status).toEqual({
      id,
      snapshot_name: withHeadName,
      finished: { success: true, error_text: null, sha256_hex: sha256(body) },
    });
  });

  test("the outcome is there as soon as the last byte is, a hundred times", async () => {
    await using fixture = await snapshotFolderFixture();
    await using server = await startSnapshotServer({ folder: fixture.path });
    for (let round = 0; round < 100; round++) {
      const answer = await server.fetch(`/api/download?name=${skipHeadName}`);
      const id = answer.headers.get("x-prombackup-download-id") ?? "";
      await answer.bytes();
      const { finished } = (await (await server.fetch(`/api/download_status?id=${id}`)).json()) as Status;
      expect(finished?.success).toBe(true);
    }
  });

  test("HEAD tells size and ETag and begins no download", async () => {
    await using fixture = await snapshotFolderFixture();
    await using server = await startSnapshotServer({ folder: fixture.path });
    const head = await server.fetch(`/api/download?name=${skipHeadName}`, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("content-length")).toBe("59392");
    expect(head.headers.get("accept-ranges")).toBe("bytes");
    expect(head.headers.get("etag")).toMatch(/^"[0-9a-f]{32}"$/);
    expect(head.headers.get("x-prombackup-download-id")).toBeNull();
  });

  test("ranges of a tar, and If-Range", async () => {
    const whole = Buffer.from(await Bun.file(skipHeadTar).arrayBuffer());
    await using fixture = await snapshotFolderFixture();
    await using server = await startSnapshotServer({ folder: fixture.path });
    const path = `/api/download?name=${skipHeadName}`;
    const etag = (await server.fetch(path, { method: "HEAD" })).headers.get("etag") ?? "";
    const get = (headers: Record<string, string>) => server.fetch(path, { headers });
    const part = await get({ Range: "bytes=20000-29999" });
    expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 20000-29999/59392"]);
    expect(part.headers.get("x-prombackup-content-length")).toBe("10000");
    expect(Buffer.from(await part.bytes()).equals(whole.subarray(20_000, 30_000))).toBe(true);
    const rest = await get({ Range: "bytes=50000-", "If-Range": etag });
    expect(Buffer.from(await rest.bytes()).equals(whole.subarray(50_000))).toBe(true);
    const changed = await get({ Range: "bytes=50000-", "If-Range": '"other"' });
    expect([changed.status, (await changed.bytes()).length]).toEqual([200, whole.length]);
    const beyond = await get({ Range: "bytes=59392-" });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, "bytes */59392"]);
    const last = await get({ Range: "bytes=-1024" });
    expect((await last.bytes()).every((byte) => byte === 0)).toBe(true);
    const digest = (await (await server.fetch(`/api/digest?name=${skipHeadName}`)).json()) as Record<string, unknown>;
    expect(digest).toEqual({ name: skipHeadName, etag, size_bytes: 59_392, sha256_hex: sha256(whole) });
  });

  test("twenty at once in all formats: twenty ids, all digests right, no file left open", async () => {
    await using fixture = await snapshotFolderFixture();
    await using server = await startSnapshotServer({ folder: fixture.path });
    const formats = ["tar", "tgz", "tzst", "zip"];
    const downloads = Array.from({ length: 20 }, async (_, n) => {
      const answer = await server.fetch(`/api/download?name=${withHeadName}&format=${formats[n % 4]}`);
      const id = answer.headers.get("x-prombackup-download-id") ?? "";
      const digest = sha256(await answer.bytes());
      const { finished } = (await (await server.fetch(`/api/download_status?id=${id}`)).json()) as Status;
      expect(finished?.sha256_hex).toBe(digest);
      return id;
    });
    expect(new Set(await Promise.all(downloads)).size).toBe(20);
    expect(await openFilesBelow(fixture.path)).toEqual([]);
    expect(await server.sample("prombackup_server_downloads_in_progress")).toBe(0);
    expect(await server.sample('prombackup_server_downloads_total{format="zip",result="success"}')).toBe(5);
  });
});

describe("a download that cannot be whole breaks, and its status names the entry", () => {
  const name = "20200101T000000Z-00000000000000aa";
  async function snapshotWith(files: Readonly<Record<string, string>>) {
    const server = await startSnapshotServer({ config: { hold_after_failure: "0s" } });
    for (const [path, text] of Object.entries(files)) {
      await mkdir(join(server.folder, name, path, ".."), { recursive: true });
      await writeFile(join(server.folder, name, path), text);
    }
    return server;
  }

  /** Reads all; that must fail. @returns The error text of the status. */
  async function brokenDownload(server: Awaited<ReturnType<typeof startSnapshotServer>>, during = async () => {}) {
    const answer = await server.fetch(`/api/download?name=${name}`);
    const id = answer.headers.get("x-prombackup-download-id") ?? "";
    await during();
    await expect(answer.bytes()).rejects.toThrow();
    const { finished } = (await (await server.fetch(`/api/download_status?id=${id}`)).json()) as Status;
    expect(finished?.success).toBe(false);
    expect(finished?.sha256_hex).toBe("");
    expect(await openFilesBelow(server.folder)).toEqual([]);
    return finished?.error_text ?? "";
  }

  test("a link within", async () => {
    await using server = await snapshotWith({ "01AAA/index": "x" });
    await symlink("/etc/passwd", join(server.folder, name, "01AAA", "link"));
    expect(await brokenDownload(server)).toBe(`unsupported file type: ${name}/01AAA/link (L---------)`);
  });

  test("a pipe within", async () => {
    await using server = await snapshotWith({ "01AAA/index": "x" });
    Bun.spawnSync(["mkfifo", join(server.folder, name, "01AAA", "pipe")]);
    expect(await brokenDownload(server)).toBe(`unsupported file type: ${name}/01AAA/pipe (p---------)`);
  });

  /** Larger than all buffers on the way: the files behind it are opened after the client has begun to read. */
  const large = "x".repeat(40_000_000);

  test.each([
    ["removed", (file: string) => rm(file), "no such file or directory"],
    ["truncated", (file: string) => truncate(file, 3), "shrank from 6 to 3 bytes"],
    ["grown", (file: string) => writeFile(file, "1234567890"), "grew from 6 to 10 bytes"],
    ["replaced", (file: string) => writeFile(`${file}.new`, "654321").then(() => replace(file)), "replaced"],
    ["written to", (file: string) => writeFile(file, "654321"), "written to"],
  ])("a later file that was %s", async (_, change, expected) => {
    await using server = await snapshotWith({ "01AAA/a": large, "01AAA/z": "123456" });
    const text = await brokenDownload(server, () => change(join(server.folder, name, "01AAA", "z")));
    expect(text).toContain(`${name}/01AAA/z`);
    expect(text).toContain(expected);
    expect(text).not.toContain(server.folder);
  });

  const replace = async (file: string) => {
    await rm(file);
    await link(`${file}.new`, file);
  };

  test.skipIf(isRoot)("a file or a folder that cannot be read", async () => {
    await using server = await snapshotWith({ "01AAA/index": "x", "01BBB/index": "x" });
    await chmod(join(server.folder, name, "01AAA", "index"), 0);
    expect(await brokenDownload(server)).toBe(`open ${name}/01AAA/index: permission denied`);
    await chmod(join(server.folder, name, "01AAA", "index"), 0o644);
    await chmod(join(server.folder, name, "01BBB"), 0);
    expect(await brokenDownload(server)).toContain(`open ${name}/01BBB: permission denied`);
    await chmod(join(server.folder, name, "01BBB"), 0o755);
  });

  test("a client that goes away after a kilobyte: failed, nothing open, nothing in use", async () => {
    await using server = await snapshotWith({ "01AAA/a": large });
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    const head = new Promise<string>((resolve) => socket.once("data", (bytes) => resolve(bytes.toString("latin1"))));
    socket.write(`GET /api/download?name=${name} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const id = /x-prombackup-download-id: (\S+)/i.exec(await head)?.[1] ?? "";
    socket.destroy();
    const finished = await waitFor("the status", async () => {
      const status = (await (await server.fetch(`/api/download_status?id=${id}`)).json()) as Status;
      return status.finished;
    });
    expect(finished.success).toBe(false);
    expect(finished.error_text).toBe("the client went away");
    await waitFor("files to be closed", async () => (await openFilesBelow(server.folder)).length === 0);
    const report = (await (await server.post("/api/prune")).json()) as { removed: string[] };
    expect(report.removed).toEqual([name]);
  });

  test("a client that takes nothing is given up, one that pauses is not", async () => {
    await using server = await startSnapshotServer({ config: { stall_timeout: "2s" } });
    await mkdir(join(server.folder, name, "01AAA"), { recursive: true });
    await writeFile(join(server.folder, name, "01AAA", "a"), large);
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
    const head = new Promise<string>((resolve) => socket.once("data", (bytes) => resolve(bytes.toString("latin1"))));
    socket.write(`GET /api/download?name=${name} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const id = /x-prombackup-download-id: (\S+)/i.exec(await head)?.[1] ?? "";
    socket.pause();
    const status = async () => (await (await server.fetch(`/api/download_status?id=${id}`)).json()) as Status;
    expect((await status()).finished).toBeNull();
    const finished = await waitFor("the end", async () => (await status()).finished, 60_000);
    expect(finished.error_text).toBe("the client took nothing for 2 s");
    expect(await server.sample('prombackup_server_downloads_total{format="tar",result="aborted"}')).toBe(1);
    socket.destroy();
  });
});

test("statuses survive a restart, fifteen minutes long", async () => {
  await using fixture = await snapshotFolderFixture();
  await using state = await createFolder("holdfast-state");
  let now = Date.UTC(2026, 10, 21, 8);
  const options = { folder: fixture.path, config: { state_dir: state.path }, now: () => now };
  let id = "";
  {
    await using server = await startSnapshotServer(options);
    const answer = await server.fetch(`/api/download?name=${skipHeadName}`);
    id = answer.headers.get("x-prombackup-download-id") ?? "";
    await answer.bytes();
  }
  await using again = await startSnapshotServer(options);
  now += 14 * 60_000;
  const status = (await (await again.fetch(`/api/download_status?id=${id}`)).json()) as Status;
  expect(status.finished?.success).toBe(true);
  now += 60_000;
  const forgotten = await again.fetch(`/api/download_status?id=${id}`);
  expect([forgotten.status, await forgotten.text()]).toEqual([404, `Download ${id} not found\n`]);
});

/** Files below a folder that this process has open. */
async function openFilesBelow(folder: string): Promise<string[]> {
  const open: string[] = [];
  for (const descriptor of await readdir("/proc/self/fd")) {
    const target = await readlink(`/proc/self/fd/${descriptor}`).catch(() => "");
    if (target.startsWith(`${folder}/`) && !target.includes("/.holdfast/")) open.push(target);
  }
  return open;
}
