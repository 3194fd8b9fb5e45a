import { expect, test } from "bun:test";
import { toFamilies, toText } from "../../../../agent/sdk/exposition.ts";
import { InstanceMetrics } from "../../../../agent/sdk/metrics.ts";
import { parseLsn } from "../../../../plugins/common/postgres/lsn.ts";
import { countChanges, showBackups } from "../../../../plugins/walg/backup-page.ts";
import { parseBackupList } from "../../../../plugins/walg/backups.ts";
import { deltaChains } from "../../../../plugins/walg/delta-chains.ts";
import type { Knowledge } from "../../../../plugins/walg/knowledge.ts";
import type { Profile } from "../../../../plugins/walg/metric-table.ts";
import { Series } from "../../../../plugins/walg/series.ts";
import type { ServerState } from "../../../../plugins/walg/server.ts";
import { parseTimelines } from "../../../../plugins/walg/timelines.ts";
import { parseVerification } from "../../../../plugins/walg/verification.ts";
import { archivedWal, showWal } from "../../../../plugins/walg/wal-page.ts";
import { backupListOf } from "../../../../scripts/bench/walg-storage.ts";
import { family, samplesOf } from "../../../harness/walg-page.ts";
import { fixture } from "../../../harness/walg-stand-in.ts";

const nowSeconds = Date.parse("2026-01-02T12:00:00Z") / 1000;
const list = (output: string) => {
  const found = parseBackupList(output);
  return { ...found, chains: deltaChains(found.backups) };
};
const f1 = {
  backups: list(await fixture("f1/backup-list.json")),
  timelines: parseTimelines(await fixture("f1/wal-show.json")),
  verification: parseVerification(await fixture("f1/wal-verify.json")),
};
const server: ServerState = {
  lsn: parseLsn("0/54000100"),
  timeline: 2,
  systemIdentifier: "7507672962298572862",
  segmentSizeBytes: 2 ** 24,
  lastArchived: undefined,
  archiverFailures: 3,
  lastArchiverFailureAt: undefined,
  readySegments: 2,
};

async function page(
  known: Partial<Knowledge>,
  { profile = "both", maxSeries = 0 }: { profile?: Profile; maxSeries?: number } = {},
): Promise<string> {
  const metrics = new InstanceMetrics();
  const series = new Series(metrics, profile);
  const knowledge: Knowledge = {
    nowSeconds,
    backups: undefined,
    timelines: undefined,
    verification: undefined,
    currentVerification: undefined,
    timelinesAt: undefined,
    verificationAt: undefined,
    walPatienceSeconds: 600,
    storageUsage: undefined,
    segments: undefined,
    server: undefined,
    systemIdentifier: undefined,
    version: undefined,
    segmentSizeBytes: 2 ** 24,
    ignoreBefore: 0,
    ...known,
  };
  if (knowledge.backups) showBackups(series, knowledge.backups, maxSeries, nowSeconds);
  showWal(series, knowledge, archivedWal(knowledge));
  return toText(await toFamilies(metrics.all()));
}
const samples = async (...parameters: Parameters<typeof page>) => samplesOf(await page(...parameters));

test("the page of F1 has the values of the specification", async () => {
  const found = await samples({ ...f1, currentVerification: f1.verification, server });
  const delta = "base_000000010000000000000030_D_000000010000000000000010";
  expect(found).toMatchObject({
    'walg_backup_count{backup_type="delta"}': 1,
    'walg_backup_count{backup_type="full"}': 2,
    [`walg_backup_finish_timestamp{backup_name="${delta}"}`]: 1_767_319_260,
    [`walg_backup_info{backup_name="${delta}",backup_type="delta",delta_origin="base_000000010000000000000010",finish_lsn="0/30000138",is_permanent="false",pg_version="150015",start_lsn="0/30000028",wal_file="000000010000000000000030"}`]: 1,
    [`walg_backup_timestamp{backup_name="${delta}",backup_type="delta",finish_lsn="0/30000138",permanent="false",start_lsn="0/30000028",wal_file="000000010000000000000030"}`]: 1_767_319_260,
    'walg_backups{backup_type="full"}': 2,
    'walg_lsn_lag_bytes{timeline="2"}': 33_554_688,
    'walg_wal_lag_segments{timeline="2"}': 2,
    'walg_wal_integrity_status{timeline="1"}': 0,
    'walg_wal_integrity_status{timeline="2"}': 1,
    'walg_wal_verify_status{operation="integrity"}': 2,
    'walg_wal_verify_status{operation="timeline"}': 1,
    'walg_wal_segments{status="FOUND",timeline_hex="00000001",timeline_id="1"}': 48,
    'walg_wal_segments{status="MISSING_UPLOADING",timeline_hex="00000002",timeline_id="2"}': 2,
    walg_pitr_window_seconds: 121_768.796,
    walg_archiver_failed_total: 3,
    walg_wal_ready_segments: 2,
  });
});

test("the readme profile has the README's metrics only, the release profile the releases'", async () => {
  const readme = await page({ ...f1, server }, { profile: "readme" });
  const names = [...readme.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
  expect(names).toEqual([
    "walg_backup_count",
    "walg_backup_timestamp",
    "walg_lsn_lag_bytes",
    "walg_pitr_window_seconds",
    "walg_scrape_errors_total",
    "walg_wal_integrity_status",
  ]);
  expect(family(readme, "walg_pitr_window_seconds")).toEqual({ "": 5_391_599 });
  const release = await page({ ...f1, currentVerification: f1.verification }, { profile: "release" });
  expect(family(release, "walg_wal_integrity_status")).toEqual({
    '{timeline_hex="00000001",timeline_id="1"}': 1,
    '{timeline_hex="00000002",timeline_id="2"}': 1,
  });
  expect(release).not.toContain("walg_backup_count");
});

test("timeline 171 is written in decimal and in eight lower-case digits", async () => {
  const verification = parseVerification(
    '{"integrity":{"status":"FAILURE","details":[{"timeline_id":171,"start_segment":"000000AB0000000000000001","end_segment":"000000AB0000000000000001","segments_count":1,"status":"MISSING_LOST"}]}}',
  );
  const found = await page({ verification, currentVerification: verification }, { profile: "release" });
  expect(family(found, "walg_wal_integrity_status")).toEqual({ '{timeline_hex="000000ab",timeline_id="171"}': 0 });
  expect(family(found, "walg_wal_verify_status")).toEqual({
    '{operation="integrity"}': 0,
    '{operation="timeline"}': -1,
  });
});

test("without a server the lag is what wal-verify missed, and without that there is none", async () => {
  expect(family(await page({ ...f1, currentVerification: f1.verification }), "walg_lsn_lag_bytes")).toEqual({
    '{timeline="2"}': 33_554_432,
  });
  expect(family(await page(f1), "walg_lsn_lag_bytes")).toEqual({});
  const nothing = parseVerification(
    '{"integrity":{"status":"OK","details":null},"timeline":{"status":"OK","details":{"current_timeline_id":1}}}',
  );
  const found = await page({ verification: nothing, currentVerification: nothing });
  expect(family(found, "walg_lsn_lag_bytes")).toEqual({});
  expect(family(found, "walg_wal_integrity_status")).toEqual({});
  expect(family(found, "walg_wal_verify_status")).toEqual({
    '{operation="integrity"}': 1,
    '{operation="timeline"}': 1,
  });
});

test("a server with nothing archived has no lag, rather than an invented one", async () => {
  expect(family(await page({ timelines: [], server }), "walg_lsn_lag_bytes")).toEqual({});
});

test("the archiver's word is newer than wal-show's", async () => {
  const lastArchived = { segment: "000000020000000000000053", at: nowSeconds - 60 };
  const found = await samples({ ...f1, server: { ...server, lastArchived } });
  expect(found['walg_lsn_lag_bytes{timeline="2"}']).toBe(256);
  expect(found['walg_wal_timestamp{timeline="2"}']).toBe(nowSeconds - 60);
  expect(found['walg_wal_age_seconds{timeline="2"}']).toBe(60);
  expect(found.walg_pitr_usable_window_seconds).toBe(121_709.013);
});

test("an archiver that counts older segments than the storage holds does not tell the time", async () => {
  const lastArchived = { segment: "000000020000000000000045", at: nowSeconds - 60 };
  expect(family(await page({ ...f1, server: { ...server, lastArchived } }), "walg_wal_timestamp")).toEqual({});
});

test("the usable window reaches from the first backup behind the gap to the last WAL", async () => {
  const backups = list(
    JSON.stringify([
      {
        backup_name: "base_000000010000000000000010",
        time: "2026-01-01T00:10:01Z",
        wal_file_name: "000000010000000000000010",
        start_lsn: 0x10000028,
        finish_time: "2026-01-01T00:10:00Z",
      },
      {
        backup_name: "base_000000010000000000000030",
        time: "2026-01-02T00:10:01Z",
        wal_file_name: "000000010000000000000030",
        start_lsn: 0x30000028,
        finish_time: "2026-01-02T00:10:00Z",
      },
    ]),
  );
  const timelines = parseTimelines(
    '[{"id":1,"parent_id":0,"switch_point_lsn":0,"start_segment":"000000010000000000000005","end_segment":"000000010000000000000040","missing_segments":["000000010000000000000020","000000010000000000000008"],"status":"LOST_SEGMENTS"}]',
  );
  const segments = new Map([
    [
      1,
      { segment: "000000010000000000000040", uploadedAt: Date.parse("2026-01-02T11:55:00Z") / 1000, extension: ".lz4" },
    ],
  ]);
  const found = await samples({ backups, timelines, segments });
  expect(found).toMatchObject({
    walg_pitr_window_seconds: 128_999,
    walg_pitr_usable_window_seconds: 42_300,
    walg_pitr_gap_segments: 1,
    'walg_wal_missing_segments{timeline="1"}': 1,
  });
  expect(
    (await samples({ backups, timelines, segments, ignoreBefore: 0x21 }))['walg_wal_missing_segments{timeline="1"}'],
  ).toBe(0);
});

test("only permanent backups: no nominal window, and no usable one", async () => {
  const backups = list(
    '[{"backup_name":"base_000000010000000000000030","time":"2026-01-01T00:00:00Z","is_permanent":true}]',
  );
  const found = await samples({ ...f1, backups });
  expect(found.walg_pitr_window_seconds).toBe(0);
  expect(found.walg_pitr_usable_window_seconds).toBeUndefined();
});

test("an empty storage counts zero, and has nothing else", async () => {
  const found = await page({ backups: list("[]") });
  expect(family(found, "walg_backup_count")).toEqual({ '{backup_type="delta"}': 0, '{backup_type="full"}': 0 });
  expect(family(found, "walg_pitr_window_seconds")).toEqual({ "": 0 });
  expect(found).not.toContain("backup_name=");
});

test("what is missing or cannot be right has no series, and is counted", async () => {
  const backups = list(
    '[{"backup_name":"base_A","time":"2026-01-02T11:00:00Z","start_time":"0001-01-01T00:00:00Z","start_lsn":-1},5,{"no":"name"}]',
  );
  const found = await page({ backups });
  expect(family(found, "walg_backup_start_timestamp")).toEqual({});
  expect(family(found, "walg_backup_compressed_size_bytes")).toEqual({});
  expect(family(found, "walg_backups_incomplete_metadata")).toEqual({ "": 3 });
  expect(family(found, "walg_backup_count")).toEqual({ '{backup_type="delta"}': 0, '{backup_type="full"}': 1 });
});

test("a backup from the future keeps its time, and its age is 0", async () => {
  const backups = list('[{"backup_name":"base_A","time":"2026-02-02T12:00:00Z","finish_time":"2026-02-02T11:59:00Z"}]');
  const found = await samples({ backups });
  expect(found).toMatchObject({
    walg_pitr_window_seconds: 0,
    'walg_backup_since_last_completion_seconds{backup_type="full"}': 0,
    'walg_backup_last_completion_timestamp_seconds{backup_type="full"}': 1_770_033_540,
  });
});

test("a backup in two storages counts once, and once in each", async () => {
  const copy = (storage_name: string) => ({ backup_name: "base_A", storage_name, compressed_size: 7 });
  const found = await page({ backups: list(JSON.stringify([copy("default"), copy("failover")])) });
  expect(family(found, "walg_backups")).toEqual({ '{backup_type="delta"}': 0, '{backup_type="full"}': 1 });
  expect(Object.keys(family(found, "walg_backup_info"))).toHaveLength(1);
  expect(family(found, "walg_storage_backups")).toEqual({
    '{backup_type="delta",storage="default"}': 0,
    '{backup_type="full",storage="default"}': 1,
    '{backup_type="delta",storage="failover"}': 0,
    '{backup_type="full",storage="failover"}': 1,
  });
});

test("names with quotes, backslashes, line ends and half characters make a valid page", async () => {
  const found = await page({ backups: list(JSON.stringify([{ backup_name: 'ä"\\\n\ud800' }])) });
  expect(found).toContain('walg_backup_info{backup_name="ä\\"\\\\\\n\ufffd",');
});

test("with a cap the newest backups and the permanent ones are named, and all are counted", async () => {
  const backups = list(backupListOf(10_000));
  const found = await page({ backups }, { maxSeries: 100 });
  const named = Object.keys(family(found, "walg_backup_start_timestamp"));
  expect(named).toHaveLength(100);
  expect(named.at(-1)).toContain(backups.backups.at(-1)?.name ?? "?");
  expect(family(found, "walg_backup_series_dropped")).toEqual({ "": 9900 });
  expect(family(found, "walg_backups")).toEqual({ '{backup_type="delta"}': 8571, '{backup_type="full"}': 1429 });
  const permanent = list(await fixture("f1/backup-list.json"));
  expect(Object.keys(family(await page({ backups: permanent }, { maxSeries: 1 }), "walg_backup_info"))).toHaveLength(2);
});

test("backups that come and go are counted by type", async () => {
  const metrics = new InstanceMetrics();
  const series = new Series(metrics, "both");
  const [a, b] = [
    list('[{"backup_name":"base_A"},{"backup_name":"base_B_D_A"}]'),
    list('[{"backup_name":"base_A"},{"backup_name":"base_C"},{"backup_name":"base_E"}]'),
  ];
  countChanges(series, undefined, a);
  countChanges(series, a, b);
  const text = toText(await toFamilies(metrics.all()));
  expect(family(text, "walg_backups_created_total")).toEqual({ '{backup_type="full"}': 2 });
  expect(family(text, "walg_backups_removed_total")).toEqual({ '{backup_type="delta"}': 1 });
});
