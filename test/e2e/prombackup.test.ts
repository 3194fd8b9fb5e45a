import { expect, test } from "bun:test";
import { mkdir, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { agentExecutable, runOnce, startAgent } from "../harness/agent.ts";
import { wholeHoursAgo } from "../harness/demo-blocks.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder } from "../harness/folders.ts";
import { makeLargeBlocks } from "../harness/large-blocks.ts";
import { freePort } from "../harness/ports.ts";
import { type PrometheusServer, startPrometheus } from "../harness/prometheus.ts";
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
      // Bun.serve, which has the agent's own address, takes it off.
      expect(answer.headers.get("content-length")).toBe(base === server.own ? "59392" : null);
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

/** Blocks of about as many megabytes; scripts/soak/prombackup-large.ts has more than a gigabyte. */
const megabytes = Number(process.env.BLOCK_MEGABYTES ?? 100);
const largeTimeoutMs = 60_000 + 600 * megabytes;

describeWith(["dist/holdfast", "prometheus", "promtool"], "from one Prometheus to another", () => {
  test(
    "snapshot, archive in every format, restore with the executable alone, while it is scraped",
    async () => {
      await using folder = await createFolder("holdfast-e2e");
      const data = join(folder.path, "data");
      await mkdir(data);
      const from = wholeHoursAgo(14);
      const series = Math.round(megabytes * 51.5);
      await makeLargeBlocks(data, { from, blocks: 4, series });
      const port = await freePort();
      // What is known is to stay as it is: no compaction.
      const noCompaction = ["--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"];
      await using prometheus = await startPrometheus({
        targets: [`127.0.0.1:${port}`],
        flags: ["--web.enable-admin-api", ...noCompaction],
        dataFolder: data,
      });
      await using agent = await startAgent(`plugins:
  prombackup:
    listen: 127.0.0.1:${port}
    interval: 1s
    config: { snapshot_dir: ${join(data, "snapshots")}, prometheus: { url: ${prometheus.url} } }
`);
      const scrapes = async () => (await prometheus.query("count_over_time(up[1h])"))[0]?.value ?? 0;
      await waitFor(
        "a scrape",
        async () => (await prometheus.query("prombackup_server_prometheus_up"))[0]?.value === 1,
      );
      const server = `http://127.0.0.1:${port}`;
      const questions = [
        "count(count_over_time(large_value[8h]))",
        "sum(sum_over_time(large_value[8h]))",
        'sum by (n) (sum_over_time(large_value{n=~"0000.[05]"}[8h]))',
      ];
      const ask = async (of: PrometheusServer) =>
        await Promise.all(questions.map((question) => of.query(question, from + 8 * 3600)));
      const expected = await ask(prometheus);
      expect(expected[0]?.[0]?.value).toBe(series);
      expect(expected[2]).toHaveLength(20);
      let before = await scrapes();
      for (const format of ["tar", "tgz", "tzst", "zip"]) {
        const archive = join(folder.path, `snapshot.${format}`);
        const create = ["snapshot", "create", "--server", server, "--format", format, "--output", archive];
        expect(await runOnce(create)).toEqual({ status: 0, stdout: "", stderr: "" });
        expect((await runOnce(["snapshot", "verify", archive])).status).toBe(0);
        const restored = join(folder.path, `restored-${format}`);
        expect((await runOnce(["snapshot", "restore", archive, restored])).status).toBe(0);
        await rm(archive);
        {
          const retention = ["--storage.tsdb.retention.time=10y", ...noCompaction];
          await using again = await startPrometheus({ targets: [], dataFolder: restored, flags: retention });
          expect(await ask(again)).toEqual(expected);
        }
        await rm(restored, { recursive: true });
        const now = await scrapes();
        expect(now).toBeGreaterThan(before);
        before = now;
      }
      const [{ name } = { name: "" }] = (
        (await (await fetch(`${server}/api/snapshots`)).json()) as { snapshots: { name: string }[] }
      ).snapshots;
      const url = `${server}/api/download?name=${name}`;
      const length = (await fetch(url, { method: "HEAD" })).headers.get("content-length");
      const whole = await fetch(url);
      expect([whole.headers.get("content-length"), String((await whole.bytes()).length)]).toEqual([length, length]);
      const lint = Bun.spawn(["promtool", "check", "metrics"], {
        stdin: new TextEncoder().encode(await agent.scrape()),
        stdout: "pipe",
        stderr: "pipe",
      });
      const complaints = (await new Response(lint.stdout).text()) + (await new Response(lint.stderr).text());
      expect(complaints.split("\n").filter((line) => line.includes("prombackup_"))).toEqual([
        'prombackup_server_download_tracked_count non-histogram and non-summary metrics should not have "_count" suffix',
      ]);
      expect(agentExecutable).toEndWith("dist/holdfast");
    },
    largeTimeoutMs,
  );
});
