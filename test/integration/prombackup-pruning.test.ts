import { expect, test } from "bun:test";
import { chmod, mkdir, readdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { skipHeadName, snapshotFolderFixture, withHeadName } from "../harness/snapshot-fixture.ts";
import { emptySnapshot, startSnapshotServer } from "../harness/snapshot-server.ts";
import { isRoot } from "../harness/users.ts";

const now = Date.UTC(2026, 10, 21, 12);
const id = "-00000000000000aa";
const nameAt = (ms: number) => `${new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "")}${id}`;
const ago = (seconds: number) => nameAt(now - seconds * 1000);

interface Report {
  dry_run: boolean;
  removed: string[];
  skipped: { name: string; reason: string }[];
  failed: { name: string; error: string }[];
}

async function serverWith(names: readonly string[], config = {}) {
  const server = await startSnapshotServer({ now: () => now, config });
  for (const name of names) await emptySnapshot(server.folder, name);
  return Object.assign(server, {
    prune: async (query = "") => (await (await server.post(`/api/prune${query}`)).json()) as Report,
    left: async () => (await readdir(server.folder)).filter((name) => name !== ".holdfast").sort(),
  });
}

test("without keep_within all goes but what Prometheus did not name, the future and the zero time", async () => {
  const strange = [
    "20261301T000000Z-00000000000000aa",
    "20261120t000000z-00000000000000aa",
    "20261120T000000Z",
    "20261120T000000Z-we ird.name",
    "20261120T000000+0200-00000000000000aa",
    "lost+found",
    "00010101T000000Z-00000000000000aa",
    ago(-60),
  ];
  await using server = await serverWith([ago(0), ago(3600), ...strange]);
  await writeFile(join(server.folder, ago(7200)), "a file");
  await symlink(server.folder, join(server.folder, ago(9000)));
  const report = await server.prune();
  expect(report).toEqual({ dry_run: false, removed: [ago(3600), ago(0)], skipped: [], failed: [] });
  expect(await server.left()).toEqual([...strange, ago(7200), ago(9000)].sort());
});

test("a dry run says the same and removes nothing; days and weeks are durations too", async () => {
  await using server = await serverWith([ago(3600), ago(86_400), ago(700_000)]);
  const dry = await server.prune("?keep_within=1w&dry_run=1");
  expect(dry).toEqual({ dry_run: true, removed: [ago(700_000)], skipped: [], failed: [] });
  expect(await server.left()).toHaveLength(3);
  expect((await server.prune("?keep_within=1d")).removed).toEqual([ago(700_000), ago(86_400)]);
  expect(await server.sample("prombackup_server_pruned_snapshots_total")).toBe(2);
  expect(await server.sample('prombackup_server_prune_runs_total{trigger="api",result="success"}')).toBe(1);
});

test.each(["1h30m0s", "1.5h", "100ms", "1%C2%B5s", "0"])("keep_within=%s is taken", async (text) => {
  await using server = await serverWith([]);
  expect((await server.post(`/api/prune?keep_within=${text}`)).status).toBe(200);
});

test.each([
  ["keep_within=-1h", 'Parsing keep_within: "-1h" is negative'],
  ["keep_within=1x", 'Parsing keep_within: time: unknown unit "x" in duration "1x"'],
  ["keep_last=-1", 'Parsing keep_last: "-1" is no whole number'],
])("%s is refused", async (query, message) => {
  await using server = await serverWith([ago(3600)]);
  const answer = await server.post(`/api/prune?${query}`);
  expect(answer.status).toBe(400);
  expect(await answer.text()).toStartWith(message);
  expect(await server.left()).toEqual([ago(3600)]);
});

test.skipIf(isRoot)("what cannot be removed is told, and does not keep the others", async () => {
  await using server = await serverWith([ago(7200), ago(3600)]);
  const inner = join(server.folder, ago(7200), "01AAA");
  await mkdir(join(inner, "x"), { recursive: true });
  await chmod(inner, 0o555);
  const answer = await server.post("/api/prune");
  const report = (await answer.json()) as Report;
  expect([answer.status, report.removed]).toEqual([500, [ago(3600)]]);
  expect(report.failed).toEqual([{ name: ago(7200), error: "permission denied" }]);
  await chmod(join(server.folder, `.deleting-${ago(7200)}`, "01AAA"), 0o755);
});

test("a leftover of a crash goes with the next run, and is never offered", async () => {
  await using server = await serverWith([ago(60)]);
  await mkdir(join(server.folder, `.deleting-${ago(7200)}`, "01AAA"), { recursive: true });
  const list = await server.text("/api/snapshots");
  expect(list).not.toContain("deleting");
  await server.prune("?keep_within=1h");
  expect(await server.left()).toEqual([ago(60)]);
});

test("a snapshot that is downloaded stays, and so does one that is being written", async () => {
  await using server = await serverWith([ago(7200)]);
  const block = join(server.folder, ago(7200), "01M7YES8CFHH15SSVT05T7XN09");
  await mkdir(block, { recursive: true });
  await writeFile(join(block, "index"), Buffer.alloc(60_000_000));
  const answer = await server.fetch(`/api/download?name=${ago(7200)}`);
  expect((await server.prune()).skipped).toEqual([{ name: ago(7200), reason: "in_use" }]);
  expect((await answer.bytes()).length).toBeGreaterThan(60_000_000);
  // It lacks meta.json and changed now, by the machine's clock.
  await using real = await startSnapshotServer({ folder: server.folder });
  const report = (await (await real.post("/api/prune")).json()) as Report;
  expect(report.skipped).toEqual([{ name: ago(7200), reason: "being_written" }]);
});

test("the last verified snapshot stays", async () => {
  await using fixture = await snapshotFolderFixture();
  await using server = await startSnapshotServer({ folder: fixture.path });
  const verified = await (await server.post(`/api/verify?name=${skipHeadName}`)).json();
  expect(verified).toMatchObject({ ok: true, blocks: 2, problems: [], warnings: [] });
  const report = (await (await server.post("/api/prune")).json()) as Report;
  expect(report.removed).toEqual([withHeadName]);
  expect(report.skipped).toEqual([{ name: skipHeadName, reason: "last_verified" }]);
  expect(await server.sample("prombackup_server_verification_last_success_timestamp_seconds")).toBeGreaterThan(1.7e9);
});

test("twenty downloads that begin while it is pruned are whole or find nothing", async () => {
  await using fixture = await snapshotFolderFixture();
  await using server = await startSnapshotServer({ folder: fixture.path });
  const downloads = Array.from({ length: 20 }, async () => {
    const answer = await server.fetch(`/api/download?name=${skipHeadName}`);
    return answer.status === 200 ? (await answer.bytes()).length : answer.status;
  });
  const prunes = Array.from({ length: 5 }, async () => server.post("/api/prune"));
  const outcomes = new Set(await Promise.all(downloads));
  await Promise.all(prunes);
  for (const outcome of outcomes) expect([59_392, 404]).toContain(outcome);
});

test("one is deleted by its name, unless it is no name or in use", async () => {
  await using server = await serverWith([ago(60)]);
  const remove = async (name: string) => (await server.post(`/api/delete?name=${name}`)).status;
  expect(await remove("..%2Fetc")).toBe(400);
  expect(await remove(ago(61))).toBe(404);
  expect(await remove(ago(60))).toBe(200);
  expect(await server.left()).toEqual([]);
});

test("a snapshot whose head Prometheus writes stays, whoever asked for it", async () => {
  await using server = await serverWith([ago(60)]);
  await mkdir(join(server.folder, ago(60), "01M7YFD1ERWHYV3R6TSHXEV9WK.tmp-for-creation"));
  const report = (await (await server.post("/api/prune")).json()) as Report;
  expect([report.removed, report.skipped]).toEqual([[], [{ name: ago(60), reason: "being_written" }]]);
  expect(await server.sample("prombackup_server_snapshots_incomplete")).toBe(1);
});

test("what was verified is known again when the folder was away for a while", async () => {
  await using fixture = await snapshotFolderFixture();
  await using server = await startSnapshotServer({ folder: fixture.path });
  await server.post("/api/verify", { name: withHeadName });
  await rename(fixture.path, `${fixture.path}-away`);
  await server.test.collect();
  await rename(`${fixture.path}-away`, fixture.path);
  await server.test.collect();
  const report = (await (await server.post("/api/prune")).json()) as Report;
  expect(report.skipped).toEqual([{ name: withHeadName, reason: "last_verified" }]);
});

test("verifications of one snapshot that wait are one", async () => {
  await using fixture = await snapshotFolderFixture();
  await using server = await startSnapshotServer({ folder: fixture.path });
  const wish = `http://127.0.0.1/api/verify?name=${skipHeadName}`;
  // Not through a port: all are there before the first has been met.
  const wishes = Array.from({ length: 20 }, () => server.test.instance.http?.request(wish, { method: "POST" }));
  for (const answer of await Promise.all(wishes)) expect(await answer?.json()).toMatchObject({ ok: true, blocks: 2 });
  const done = await server.sample('prombackup_server_verifications_total{result="success"}');
  expect(done).toBeLessThan(3);
});
