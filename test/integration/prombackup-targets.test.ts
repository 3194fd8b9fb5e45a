import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StorageSettingsInput } from "../../plugins/common/storage/settings.ts";
import { target as targetSettings } from "../../plugins/prombackup/settings.ts";
import { Target } from "../../plugins/prombackup/target.ts";
import type { Tool } from "../harness/available.ts";
import { describeWith } from "../harness/describe-with.ts";
import { createFolder, type TemporaryFolder } from "../harness/folders.ts";
import { failure, startS3Server } from "../harness/s3/server.ts";
import { skipHeadName, snapshotFolderFixture } from "../harness/snapshot-fixture.ts";
import { prometheusAnswering, startSnapshotServer } from "../harness/snapshot-server.ts";
import { startSshServer } from "../harness/ssh.ts";
import { waitFor } from "../harness/wait.ts";
import { open, s3Settings, sftpSettings } from "./storage/storages.ts";

const main = new URL("../../agent/main.ts", import.meta.url).pathname;
const dayMs = 86_400_000;
/** Of the recorded snapshot. */
const blocks = ["01M7YES8CFHH15SSVT05T7XN09", "01M7YES8D3BXZ143VZS1HDNWSF"];

async function holdfast(...args: string[]) {
  const child = Bun.spawn([process.execPath, main, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

interface TargetInput {
  storage: StorageSettingsInput;
  retention?: Record<string, number>;
}

interface RoundOptions {
  /** The target cannot be looked at. */
  readonly isUnreadable?: boolean;
  /** Whether the agent knows what an earlier one did. */
  readonly keepsState?: boolean;
  /** How far ahead the clock is. */
  readonly aheadMs?: number;
  /** Whose backups they are. */
  readonly owner?: string;
  /** A file of the snapshot that has one more byte than in the others. */
  readonly changed?: string;
}

/** A snapshot folder beside a Prometheus whose snapshots are all the recorded one, under another name. */
async function startScene() {
  await using cleanup = new AsyncDisposableStack();
  const recorded = cleanup.use(await snapshotFolderFixture());
  const folder = cleanup.use(await createFolder("holdfast-snapshots"));
  const state = cleanup.use(await createFolder("holdfast-state"));
  let count = 0;
  let changed: string | undefined;
  const prometheus = cleanup.use(
    prometheusAnswering(async ({ method }) => {
      // The flags, for the metrics.
      if (method !== "POST") return { body: JSON.stringify({ status: "success", data: {} }) };
      const name = `20261121T0716${String(++count).padStart(2, "0")}Z-48d449c7c9037e84`;
      await cp(join(recorded.path, skipHeadName), join(folder.path, name), { recursive: true });
      if (changed !== undefined) await appendFile(join(folder.path, name, changed), "\n");
      return { body: JSON.stringify({ status: "success", data: { name } }) };
    }),
  );
  const owned = cleanup.move();
  return {
    snapshots: async () => await readdir(folder.path),
    /** Lets an agent, by default one that has never run, make one round, and tells how it went. */
    async round(
      targets: Record<string, TargetInput>,
      { aheadMs = 0, owner, changed: file, isUnreadable = false, keepsState = false }: RoundOptions = {},
    ) {
      changed = file;
      await using server = await startSnapshotServer({
        folder: folder.path,
        prometheus: prometheus.url,
        config: {
          backup: { targets, ...(owner === undefined ? {} : { owner }) },
          ...(keepsState ? { state_dir: state.path } : {}),
        },
        now: () => Date.now() + aheadMs,
      });
      const stopping = new AbortController();
      const running = server.test.instance.start?.({ signal: stopping.signal, run: undefined as never });
      const ended = () => server.test.logs.filter(({ message }) => /^Backup (?:complete|failed)$/.test(message));
      await waitFor("the backups", () => ended().length === Object.keys(targets).length);
      // The target was looked at again.
      const isCounted = async (target: string) =>
        (await server.sample(`prombackup_server_target_backups{target="${target}"}`)) !== undefined;
      for (const { message, fields } of ended()) {
        if (message === "Backup complete" && !isUnreadable)
          await waitFor("the count", () => isCounted(String(fields.target)));
      }
      if (ended().every(({ message }) => message === "Backup complete"))
        await waitFor("the removal", async () => (await readdir(folder.path)).length === 0);
      const metrics = await server.test.collect();
      stopping.abort();
      await running;
      return { logs: server.test.logs, ended: ended().map(({ message, fields }) => ({ message, ...fields })), metrics };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function namesIn(storage: StorageSettingsInput, folder: string): Promise<string[]> {
  await using opened = await open(storage);
  return (await Array.fromAsync(opened.list(folder))).map(({ name }) => name);
}

interface Place extends AsyncDisposable {
  storage(name: string): StorageSettingsInput;
}

const places: readonly { name: string; needs: readonly Tool[]; start(): Promise<Place> }[] = [
  {
    name: "a folder",
    needs: [],
    async start() {
      const folder: TemporaryFolder = await createFolder("holdfast-target");
      return {
        storage: (name) => ({ type: "local", directory: join(folder.path, name) }),
        [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
      };
    },
  },
  {
    name: "S3",
    needs: [],
    async start() {
      const server = startS3Server();
      return {
        storage: (name) => ({ ...s3Settings(server), prefix: name }),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  },
  {
    name: "SFTP",
    needs: ["openssh-server"],
    async start() {
      const server = await startSshServer();
      return {
        storage: (name) => ({ ...sftpSettings(server), directory: join(server.folder, name) }),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    },
  },
];

for (const { name, needs, start } of places) {
  describeWith([...needs], `backups in ${name}`, () => {
    let place: Place;
    beforeAll(async () => {
      place = await start();
    });
    afterAll(async () => {
      await place?.[Symbol.asyncDispose]();
    });

    test("each file is stored once; the second backup moves what changed alone", async () => {
      await using scene = await startScene();
      const storage = place.storage("once");
      const first = await scene.round({ away: { storage } });
      expect(first.ended).toMatchObject([{ message: "Backup complete", target: "away", files: 8, new_files: 8 }]);
      expect(first.metrics).toContain('prombackup_server_uploads_total{target="away",result="success"} 1\n');
      expect(first.metrics).toContain('prombackup_server_target_backups{target="away"} 1\n');
      const second = await scene.round({ away: { storage } });
      expect(second.ended).toMatchObject([{ message: "Backup complete", new_files: 0, new_bytes: 0 }]);
      const manifests = ["01", "02"].map((second) => `backups/20261121T0716${second}Z-48d449c7c9037e84.json`);
      expect(await namesIn(storage, "backups")).toEqual(manifests);
      expect(await namesIn(storage, "files")).toHaveLength(8);
    });

    test("each target has a retention of its own; files that no backup names go after a day", async () => {
      await using scene = await startScene();
      const few = { storage: place.storage("few"), retention: { keep_last: 1 } };
      const all = { storage: place.storage("all") };
      await scene.round({ few, all });
      await scene.round({ few, all }, { changed: `${blocks[0]}/meta.json` });
      expect(await namesIn(few.storage, "backups")).toHaveLength(1);
      expect(await namesIn(all.storage, "backups")).toHaveLength(2);
      // The first backup's meta.json is no longer named in the one, but young.
      expect(await namesIn(few.storage, "files")).toHaveLength(9);
      const later = await scene.round({ few, all }, { aheadMs: 2 * dayMs });
      expect(later.ended.map(({ message }) => message)).toEqual(["Backup complete", "Backup complete"]);
      expect(await namesIn(few.storage, "files")).toHaveLength(8);
      expect(await namesIn(all.storage, "files")).toHaveLength(9);
      expect(await namesIn(all.storage, "backups")).toHaveLength(3);
    });

    test("the commands list and restore what is there, with the settings of the agent's configuration", async () => {
      await using scene = await startScene();
      await using folder = await createFolder("holdfast-restored");
      const storage = place.storage("commands");
      await scene.round({ away: { storage } });
      const config = join(folder.path, "holdfast.yml");
      const instance = {
        plugin: "prombackup",
        config: { snapshot_dir: folder.path, backup: { targets: { away: { storage } } } },
      };
      await writeFile(config, JSON.stringify({ plugins: { history: instance } }));
      const flags = ["--target=away", `--config.file=${config}`];
      const list = await holdfast("snapshot", "list", ...flags);
      expect(list.stderr).toBe("");
      expect(list.stdout).toMatch(/^NAME .*\n20261121T071601Z-48d449c7c9037e84 .* 2 +right\n$/);
      const right = await holdfast("snapshot", "verify", ...flags, "latest");
      expect([right.exitCode, right.stdout]).toEqual([
        0,
        "right: 20261121T071601Z-48d449c7c9037e84, 2 blocks, 8 files\n",
      ]);
      const restored = join(folder.path, "restored");
      const restore = await holdfast("snapshot", "restore", "--retention=50y", ...flags, "latest", restored);
      expect([restore.stderr, restore.exitCode]).toEqual(["", 0]);
      expect((await readdir(restored)).sort()).toEqual(blocks);
      const missing = await holdfast(
        "snapshot",
        "restore",
        ...flags,
        "20261121T071602Z-48d449c7c9037e84",
        `${restored}2`,
      );
      expect(missing.exitCode).toBe(1);
      expect(missing.stderr).toContain("20261121T071602Z-48d449c7c9037e84.json");
      const wrong = await holdfast("snapshot", "list", "--target=nowhere", `--config.file=${config}`);
      expect(wrong.stderr).toContain('No target "nowhere" in');
      expect(wrong.stderr).toContain("it has away of history");
    });
  });
}

test("a backup whose files do not all arrive is none; what arrived is used the next time", async () => {
  await using scene = await startScene();
  await using server = startS3Server();
  const storage = s3Settings(server);
  let uploads = 0;
  server.intercept = (request, key) =>
    request.method === "PUT" && key.startsWith("files/") && ++uploads > 3
      ? failure(request, 403, "AccessDenied")
      : undefined;
  const failed = await scene.round({ cloud: { storage } }, { keepsState: true });
  expect(failed.ended).toMatchObject([{ message: "Backup failed", target: "cloud" }]);
  expect(failed.logs.find(({ message }) => message === "Backup failed")?.fields.error).toContain("s3://holdfast");
  expect(failed.metrics).toContain('prombackup_server_uploads_total{target="cloud",result="error"} 1\n');
  expect(failed.metrics).not.toContain("prombackup_server_upload_last_success_timestamp_seconds{");
  expect(await namesIn(storage, "backups")).toEqual([]);
  // It may be the last one that was verified.
  expect(await scene.snapshots()).toEqual(["20261121T071601Z-48d449c7c9037e84"]);

  server.intercept = undefined;
  server.requests.length = 0;
  const again = await scene.round({ cloud: { storage } }, { aheadMs: 3_600_000, keepsState: true });
  expect(again.ended).toMatchObject([{ message: "Backup complete", files: 8, new_files: 5 }]);
  const puts = server.requests.filter((one) => /^PUT (?:files|backups)/.test(one));
  expect(puts.map((one) => one.split("/")[0])).toEqual([...Array(5).fill("PUT files"), "PUT backups"]);
});

test("a snapshot that is damaged does not cost the one before, which a target has not taken yet", async () => {
  await using scene = await startScene();
  await using server = startS3Server();
  server.intercept = (request) => failure(request, 403, "AccessDenied");
  const targets = { cloud: { storage: s3Settings(server) } };
  await scene.round(targets, { keepsState: true });
  const verified = ["20261121T071601Z-48d449c7c9037e84"];
  expect(await scene.snapshots()).toEqual(verified);
  const damaged = { changed: `${blocks[0]}/index`, aheadMs: 3_600_000, keepsState: true };
  const { ended } = await scene.round(targets, damaged);
  expect(ended).toMatchObject([{ error: expect.stringContaining("it is damaged") }]);
  expect(await scene.snapshots()).toEqual(verified);
  server.intercept = undefined;
  // Then all of them go.
  await scene.round(targets, { aheadMs: 2 * 3_600_000, keepsState: true });
});

test("a target that fails does not keep the others from their backups", async () => {
  await using scene = await startScene();
  await using folder = await createFolder("holdfast-target");
  await using server = startS3Server();
  server.intercept = (request) => failure(request, 403, "AccessDenied");
  const cloud = { storage: s3Settings(server) };
  const disk = { storage: { type: "local", directory: folder.path } } satisfies TargetInput;
  const { ended, metrics } = await scene.round({ cloud, disk });
  expect(ended).toMatchObject([
    { message: "Backup failed", target: "cloud" },
    { message: "Backup complete", target: "disk" },
  ]);
  expect(metrics).toContain('prombackup_server_uploads_total{target="cloud",result="error"} 1\n');
  expect(metrics).toContain('prombackup_server_target_backups{target="disk"} 1\n');
});

test("backups of a clock that was in the future take no place from those that are made since", async () => {
  await using scene = await startScene();
  await using folder = await createFolder("holdfast-target");
  const storage = { type: "local", directory: folder.path } as const;
  const targets = { disk: { storage, retention: { keep_last: 2 } } };
  const nameOf = (count: number) => `backups/20261121T07160${count}Z-48d449c7c9037e84.json`;
  for (const aheadMs of [365 * dayMs, 366 * dayMs, 0]) await scene.round(targets, { aheadMs });
  expect(await namesIn(storage, "backups")).toEqual([1, 2, 3].map(nameOf));
  for (const aheadMs of [dayMs, 2 * dayMs]) await scene.round(targets, { aheadMs });
  expect(await namesIn(storage, "backups")).toEqual([1, 2, 4, 5].map(nameOf));
  // When their time has come they are like any other.
  await scene.round(targets, { aheadMs: 367 * dayMs });
  expect(await namesIn(storage, "backups")).toEqual([2, 6].map(nameOf));
});

test("a target in which a manifest cannot be read loses nothing", async () => {
  await using scene = await startScene();
  await using folder = await createFolder("holdfast-target");
  const disk = {
    storage: { type: "local", directory: folder.path },
    retention: { keep_last: 1 },
  } satisfies TargetInput;
  await scene.round({ disk });
  const strange = join(folder.path, "backups", "20261120T000000Z-48d449c7c9037e84.json");
  await cp(join(folder.path, "backups", "20261121T071601Z-48d449c7c9037e84.json"), strange);
  const { logs } = await scene.round({ disk }, { aheadMs: 2 * dayMs, isUnreadable: true });
  const told = logs.find(({ message }) => message === "Cannot remove old backups");
  expect(told?.fields.error).toContain("it is that of");
  expect(await namesIn(disk.storage, "backups")).toHaveLength(3);
});

test("a target whose list lacks a backup that is there loses nothing", async () => {
  await using scene = await startScene();
  await using server = startS3Server();
  const cloud = { storage: s3Settings(server) };
  await scene.round({ cloud });
  // As of a storage that lists late.
  server.intercept = (request) =>
    request.method === "GET" && new URL(request.url).searchParams.get("prefix")?.startsWith("backups/")
      ? new Response('<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></ListBucketResult>')
      : undefined;
  const { logs } = await scene.round({ cloud }, { aheadMs: 2 * dayMs });
  server.intercept = undefined;
  expect(await namesIn(cloud.storage, "files")).toHaveLength(8);
  const told = logs.find(({ message }) => message === "Cannot remove old backups");
  expect(told?.fields.error).toContain("its list lacks 20261121T071602Z-48d449c7c9037e84, which is there");
});

test("two instances in one target: neither removes what is the other's, nor files that the other may be about to name", async () => {
  await using place = await createFolder("holdfast-target");
  await using scene = await startScene();
  const storage = { type: "local", directory: place.path } as const;
  const targets = { disk: { storage, retention: { keep_last: 1 } } };
  await scene.round(targets, { owner: "one" });
  const { logs } = await scene.round(targets, { owner: "two" });
  expect(logs.map(({ message }) => message)).toContain(
    "Another instance keeps backups in the same target: files that no backup names are not removed",
  );
  await scene.round(targets, { owner: "two" });
  const left = await namesIn(storage, "backups");
  const owners = await Promise.all(left.map(async (name) => (await Bun.file(join(place.path, name)).json()).owner));
  expect(owners).toEqual(["one", "two"]);
  // Nobody counts another's among what can be restored.
  const silent = () => {};
  const log = { debug: silent, info: silent, warn: silent, error: silent };
  for (const [owner, own] of [
    ["two", 1],
    ["three", 0],
  ] as const) {
    await using target = new Target({
      name: "disk",
      owner,
      settings: targetSettings.parse(targets.disk),
      log,
      now: Date.now,
    });
    await target.refresh(AbortSignal.timeout(60_000));
    expect(target.known?.backups).toHaveLength(2);
    expect(target.ownBackups()).toHaveLength(own);
  }
  // One that has not written for a week is gone; its backups stay.
  const later = await scene.round(targets, { owner: "two", aheadMs: 8 * dayMs });
  expect(later.logs.filter(({ message }) => message.startsWith("Another instance"))).toEqual([]);
  expect(await namesIn(storage, "backups")).toHaveLength(2);
});

test("a snapshot whose backup was cut short is removed after the next one", async () => {
  await using place = await createFolder("holdfast-target");
  await using recorded = await snapshotFolderFixture();
  await using folder = await createFolder("holdfast-snapshots");
  const stopping = new AbortController();
  await using prometheus = prometheusAnswering(async ({ method }) => {
    if (method !== "POST") return { body: JSON.stringify({ status: "success", data: {} }) };
    await cp(join(recorded.path, skipHeadName), join(folder.path, skipHeadName), { recursive: true });
    stopping.abort();
    return { body: JSON.stringify({ status: "success", data: { name: skipHeadName } }) };
  });
  const targets = { disk: { storage: { type: "local", directory: place.path } } };
  {
    await using server = await startSnapshotServer({
      folder: folder.path,
      prometheus: prometheus.url,
      config: { backup: { targets }, state_dir: join(place.path, "state") },
    });
    await server.test.instance.start?.({ signal: stopping.signal, run: undefined as never });
  }
  expect(await readdir(folder.path)).toEqual([skipHeadName]);
  const [state = ""] = await readdir(join(place.path, "state"));
  expect((await Bun.file(join(place.path, "state", state)).json()).leftBehind).toEqual([skipHeadName]);
});

test("a snapshot without a block is no backup, verified or not", async () => {
  await using place = await createFolder("holdfast-target");
  await using folder = await createFolder("holdfast-snapshots");
  await using prometheus = prometheusAnswering(async ({ method }) => {
    if (method === "POST") await mkdir(join(folder.path, skipHeadName));
    return { body: JSON.stringify({ status: "success", data: method === "POST" ? { name: skipHeadName } : {} }) };
  });
  const targets = { disk: { storage: { type: "local", directory: place.path } } };
  await using server = await startSnapshotServer({
    folder: folder.path,
    prometheus: prometheus.url,
    config: { backup: { targets, verify: false } },
  });
  const stopping = new AbortController();
  const running = server.test.instance.start?.({ signal: stopping.signal, run: undefined as never });
  const ended = await waitFor("the end", () =>
    server.test.logs.find(({ message }) => /^Backup (?:complete|failed)$/.test(message)),
  );
  stopping.abort();
  await running;
  expect(ended).toMatchObject({
    message: "Backup failed",
    fields: { error: `Cannot keep ${skipHeadName}: there is no block in it; earlier backups stay` },
  });
  expect(await readdir(join(place.path, "backups")).catch(() => [])).toEqual([]);
});

test("a manifest that cannot be read is named by the commands", async () => {
  await using place = await createFolder("holdfast-target");
  const name = "20261121T071601Z-48d449c7c9037e84";
  const manifest = join(place.path, "backups", `${name}.json`);
  await mkdir(join(place.path, "backups"));
  await writeFile(manifest, "{");
  const config = join(place.path, "holdfast.yml");
  const text = `plugins: { prombackup: { config: { snapshot_dir: /x, backup: { targets: { disk: { storage: { type: local, directory: "${place.path}" } } } } } } }`;
  await writeFile(config, text);
  const flags = ["--target=disk", `--config.file=${config}`];
  for (const args of [
    ["list", ...flags],
    ["verify", ...flags, "latest"],
    ["restore", ...flags, name, join(place.path, "data")],
    ["restore", manifest, join(place.path, "data")],
  ]) {
    const { exitCode, stderr } = await holdfast("snapshot", ...args);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`Cannot read backups/${name}.json in ${place.path}: the manifest is no JSON`);
  }
});

test("what rots in a target is found, and what to do about it; the next backup stores it anew", async () => {
  await using place = await createFolder("holdfast-target");
  await using scene = await startScene();
  const storage = { type: "local", directory: place.path } as const;
  const targets = { disk: { storage } };
  await scene.round(targets);
  const config = join(place.path, "holdfast.yml");
  const text = `plugins: { prombackup: { config: { snapshot_dir: /x, backup: { targets: { disk: { storage: { type: local, directory: "${place.path}" } } } } } } }`;
  await writeFile(config, text);
  const verify = () => holdfast("snapshot", "verify", "--target=disk", `--config.file=${config}`, "latest");
  expect((await verify()).exitCode).toBe(0);
  const [stored = ""] = await namesIn(storage, "files");
  const bytes = await Bun.file(join(place.path, stored)).bytes();
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  await writeFile(join(place.path, stored), bytes);
  const damaged = await verify();
  expect(damaged.exitCode).toBe(1);
  expect(damaged.stdout).toMatch(/^damaged: .*: its digest is [0-9a-f]{64}; remove files\/.* to store it anew\n/);
  await rm(join(place.path, stored));
  expect((await verify()).stdout).toContain("it is missing");
  await scene.round(targets);
  expect((await verify()).exitCode).toBe(0);
});
