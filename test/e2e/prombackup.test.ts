import { expect, test } from "bun:test";
import { mkdir, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { agentExecutable, runOnce, startAgent } from "../harness/agent.ts";
import { makeBlocks, wholeHoursAgo } from "../harness/demo-blocks.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { freePort } from "../harness/ports.ts";
import { startPrometheus } from "../harness/prometheus.ts";
import { skipHeadName, snapshotFolderFixture } from "../harness/snapshot-fixture.ts";
import { waitFor } from "../harness/wait.ts";

const broken = "20200101T000000Z-00000000000000aa";

describeWith(["dist/holdfast"], "the compiled agent as a prombackup server", () => {
  async function start(folder: string, more = "") {
    const port = await freePort();
    const agent = await startAgent(`plugins:
  prombackup:
    listen: 127.0.0.1:${port}
    config:
      snapshot_dir: ${folder}
      prometheus: { url: "http://127.0.0.1:1" }
      hold_after_failure: 0s
${more}`);
    const own = `http://127.0.0.1:${port}`;
    const ready = async () => (await fetch(`${own}/api/snapshots`)).ok;
    await waitFor("the instance", ready);
    return { agent, own, below: `${agent.url}/prombackup`, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
  }

  test("downloads at its own port and below its name, HEAD and ranges too", async () => {
    await using fixture = await snapshotFolderFixture();
    await using server = await start(fixture.path);
    for (const base of [server.own, server.below]) {
      const url = `${base}/api/download?name=${skipHeadName}`;
      const head = await fetch(url, { method: "HEAD" });
      expect(head.headers.get("content-length")).toBe("59392");
      const etag = head.headers.get("etag") ?? "";
      const answer = await fetch(url);
      expect(answer.headers.get("etag")).toBe(etag);
      expect(answer.headers.get("x-prombackup-content-length")).toBe("59392");
      expect((await answer.bytes()).length).toBe(59_392);
      const part = await fetch(url, { headers: { Range: "bytes=512-1023", "If-Range": etag } });
      expect([part.status, part.headers.get("content-range")]).toEqual([206, "bytes 512-1023/59392"]);
      expect((await part.bytes()).length).toBe(512);
      const archive = join(fixture.path, "a.tgz");
      const args = [
        "snapshot",
        "create",
        "--server",
        base,
        "--name",
        skipHeadName,
        "--format=tgz",
        "--output",
        archive,
      ];
      expect(await runOnce(args)).toEqual({ status: 0, stdout: "", stderr: "" });
      await rm(archive);
    }
    const metrics = await (await fetch(`${server.own}/metrics`)).text();
    expect(metrics).toContain("prombackup_server_snapshots_stored 2\n");
  });

  test("an archive that is not whole breaks the client's connection, through the agent too", async () => {
    await using fixture = await snapshotFolderFixture();
    await mkdir(join(fixture.path, broken));
    await writeFile(join(fixture.path, broken, "a"), "x".repeat(3_000_000));
    await symlink("/etc/passwd", join(fixture.path, broken, "link"));
    await using server = await start(fixture.path);
    for (const base of [server.own, server.below]) {
      const answer = await fetch(`${base}/api/download?name=${broken}`);
      expect(answer.status).toBe(200);
      const id = answer.headers.get("x-prombackup-download-id") ?? "";
      await expect(answer.bytes()).rejects.toThrow();
      const status = await (await fetch(`${base}/api/download_status?id=${id}`)).text();
      expect(status).toContain(`unsupported file type: ${broken}/link (L---------)`);
      // Without a Content-Length, the missing last chunk is all that tells.
      if (Bun.which("curl")) {
        const curl = Bun.spawn(["curl", "-s", "-o", "/dev/null", `${base}/api/download?name=${broken}`]);
        // 18: no last chunk came; 56: the connection was reset.
        expect([18, 56]).toContain(await curl.exited);
      }
      const args = ["snapshot", "create", "--server", base, "--name", broken, "--output", join(fixture.path, "x.tar")];
      const ended = await runOnce(args);
      expect(ended.status).toBe(1);
      expect(ended.stderr).toContain("unsupported file type");
      expect((await readdir(fixture.path)).filter((name) => name.startsWith("x.tar"))).toEqual([]);
    }
  });

  test("twenty clients that go away leave no open file and nothing in use; a reload ends what runs", async () => {
    await using fixture = await snapshotFolderFixture();
    await mkdir(join(fixture.path, broken));
    await writeFile(join(fixture.path, broken, "a"), Buffer.alloc(60_000_000));
    await using server = await start(fixture.path);
    const port = Number(new URL(server.own).port);
    const sockets = Array.from({ length: 20 }, () => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(`GET /api/download?name=${broken} HTTP/1.1\r\nHost: x\r\n\r\n`);
      return new Promise<typeof socket>((resolve) => socket.once("data", () => resolve(socket)));
    });
    for (const socket of await Promise.all(sockets)) socket.destroy();
    const opened = () => openFilesBelow(server.agent.pid, fixture.path);
    await waitFor("files to be closed", async () => (await opened()).length === 0);
    await waitFor("downloads to end", async () => {
      const { downloads } = (await (await fetch(`${server.own}/api/downloads`)).json()) as {
        downloads: { state: string }[];
      };
      return downloads.length === 20 && downloads.every(({ state }) => state === "aborted");
    });
    const report = await (await fetch(`${server.own}/api/prune`, { method: "POST" })).json();
    expect((report as { removed: string[] }).removed).toContain(broken);
  });

  test("statuses survive the end of the agent, and a hostile state file does no harm", async () => {
    await using fixture = await snapshotFolderFixture();
    let id = "";
    {
      await using server = await start(fixture.path);
      const answer = await fetch(`${server.own}/api/download?name=${skipHeadName}`);
      id = answer.headers.get("x-prombackup-download-id") ?? "";
      await answer.bytes();
      expect(await server.agent.stop()).toBe(0);
    }
    {
      await using server = await start(fixture.path);
      expect(await (await fetch(`${server.own}/api/download_status?id=${id}`)).text()).toContain('"success": true');
    }
    await writeFile(join(fixture.path, ".holdfast", "prombackup.json"), "{ no state");
    await using server = await start(fixture.path);
    expect((await fetch(`${server.own}/api/download_status?id=${id}`)).status).toBe(404);
    expect(server.agent.stderr.join("\n")).toContain("Cannot read the saved state");
  });

  async function openFilesBelow(pid: number, folder: string): Promise<string[]> {
    const open: string[] = [];
    for (const descriptor of await readdir(`/proc/${pid}/fd`)) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (target.startsWith(`${folder}/`) && !target.includes("/.holdfast/")) open.push(target);
    }
    return open;
  }
});

describeWith(["dist/holdfast", "prometheus", "promtool"], "from one Prometheus to another", () => {
  test("snapshot, archive, restore with the executable alone, while it is scraped", async () => {
    await using folder = await createFolder("holdfast-e2e");
    const data = join(folder.path, "data");
    await mkdir(data);
    const from = wholeHoursAgo(10);
    await makeBlocks(data, { from, hours: 4, series: 200 });
    const port = await freePort();
    await using prometheus = await startPrometheus({
      targets: [`127.0.0.1:${port}`],
      flags: ["--web.enable-admin-api"],
      dataFolder: data,
    });
    await using agent = await startAgent(`plugins:
  prombackup:
    listen: 127.0.0.1:${port}
    interval: 1s
    config: { snapshot_dir: ${join(data, "snapshots")}, prometheus: { url: ${prometheus.url} } }
`);
    await waitFor("a scrape", async () => (await prometheus.query("prombackup_server_prometheus_up"))[0]?.value === 1);
    const server = `http://127.0.0.1:${port}`;
    const expression = "sum by (series) (sum_over_time(demo_value[4h]))";
    const expected = await prometheus.query(expression, from + 4 * 3600);
    expect(expected).toHaveLength(200);
    for (const format of ["tar", "tgz", "tzst", "zip"]) {
      const archive = join(folder.path, `snapshot.${format}`);
      const create = ["snapshot", "create", "--server", server, "--format", format, "--output", archive];
      expect(await runOnce(create)).toEqual({ status: 0, stdout: "", stderr: "" });
      const restored = join(folder.path, `restored-${format}`);
      expect((await runOnce(["snapshot", "restore", archive, restored])).status).toBe(0);
      await using again = await startPrometheus({ targets: [], dataFolder: restored });
      expect(await again.query(expression, from + 4 * 3600)).toEqual(expected);
    }
    const text = await agent.scrape();
    const lint = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: new TextEncoder().encode(text),
      stdout: "pipe",
      stderr: "pipe",
    });
    const complaints = (await new Response(lint.stdout).text()) + (await new Response(lint.stderr).text());
    expect(complaints.split("\n").filter((line) => line.includes("prombackup_"))).toEqual([
      'prombackup_server_download_tracked_count non-histogram and non-summary metrics should not have "_count" suffix',
    ]);
    expect(agentExecutable).toEndWith("dist/holdfast");
  });
});
