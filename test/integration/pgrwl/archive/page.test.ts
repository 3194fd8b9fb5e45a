/** What the page and the status tell of an archive. */
import { expect, test } from "bun:test";
import { toFamilies, toText } from "../../../../agent/sdk/exposition.ts";
import { InstanceMetrics } from "../../../../agent/sdk/metrics.ts";
import type { Archiver } from "../../../../plugins/pgrwl/archive/archiver.ts";
import { ArchiveMetrics } from "../../../../plugins/pgrwl/archive/metrics.ts";
import { ReceiverMetrics } from "../../../../plugins/pgrwl/metrics.ts";
import { archiveStatus } from "../../../../plugins/pgrwl/status.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { findSamples, readSamples, sampleValue } from "../../../harness/samples.ts";
import { range, startArchiver, uploaded } from "./archiver-under-test.ts";
import { mib, nameOf, placeKinds, writeSegments } from "./places.ts";

const s3 = () => {
  const kind = placeKinds.find(({ name }) => name === "S3");
  if (kind === undefined) throw new Error("There is no S3");
  return kind.start();
};

class Page {
  readonly #metrics = new InstanceMetrics();
  readonly #page = new ArchiveMetrics(this.#metrics, new ReceiverMetrics(this.#metrics));

  async show(archiver: Archiver): Promise<string> {
    this.#metrics.emptyGauges();
    this.#page.show(archiver);
    return toText(await toFamilies(this.#metrics.all(), {}));
  }
}

test("uploads, backlog, problems and retention are on the page; what is not known is not", async () => {
  await using place = await s3();
  const page = new Page();
  const retention = { keep: "30d", dry_run: true, interval: "1s" };
  await using tested = await startArchiver({ storage: place.storage, keep_local: 1, retention });
  const { archiver } = tested;
  const before = await page.show(archiver);
  const gauges = new Set(
    readSamples(before)
      .map(({ name }) => name)
      .filter((name) => !/_total$|_seconds_/.test(name)),
  );
  expect([...gauges].sort()).toEqual(["pgrwl_archive_problem", "pgrwl_uploads_running"]);

  place.proxy?.refuse(true);
  await writeSegments(tested.directory, range(1, 4));
  tested.run();
  await tested.until("two failures", () => (archiver.uploader?.telemetry.failures.get("unavailable") ?? 0) >= 2);
  const during = await page.show(archiver);
  expect(sampleValue(during, "pgrwl_upload_backlog_files")).toBe(3);
  expect(sampleValue(during, "pgrwl_upload_backlog_bytes")).toBe(3 * mib);
  const oldest = sampleValue(during, "pgrwl_upload_backlog_oldest_timestamp_seconds") ?? 0;
  expect(Date.now() / 1000 - oldest).toBeGreaterThan(115);
  expect(findSamples(during, "pgrwl_archive_problem").filter(({ value }) => value === 1)).toMatchObject([
    { labels: { reason: "unavailable" } },
  ]);
  expect(sampleValue(during, "pgrwl_uploads_total", { result: "failed" })).toBeGreaterThanOrEqual(2);
  expect(sampleValue(during, "pgrwl_archive_next_attempt_timestamp_seconds")).toBeGreaterThan(1.7e9);
  const waiting = archiveStatus(archiver, Date.now());
  expect(waiting.facts?.["To archive"]).toMatch(/^3 files, 3\.0 MiB, oldest 2m\d+s$/);
  expect(waiting.problem).toContain("s3://holdfast/main");

  place.proxy?.behave();
  await tested.until("all", () => uploaded(archiver) === 3 && archiver.uploader?.telemetry.localDeleted === 2);
  await tested.until("retention", () => archiver.report?.files === 3);
  const after = await page.show(archiver);
  expect(sampleValue(after, "pgrwl_wal_files_uploaded_total")).toBe(3);
  expect(sampleValue(after, "pgrwl_uploads_total", { result: "stored" })).toBe(3);
  expect(sampleValue(after, "pgrwl_uploaded_wal_bytes_total")).toBe(3 * mib);
  expect(sampleValue(after, "pgrwl_uploaded_stored_bytes_total")).toBe(3 * mib);
  expect(sampleValue(after, "pgrwl_upload_duration_seconds_count")).toBe(3);
  expect(sampleValue(after, "pgrwl_upload_backlog_files")).toBe(0);
  expect(after).not.toContain("\npgrwl_upload_backlog_oldest_timestamp_seconds ");
  expect(after).not.toContain("\npgrwl_archive_next_attempt_timestamp_seconds ");
  expect(sampleValue(after, "pgrwl_local_segments")).toBe(1);
  expect(sampleValue(after, "pgrwl_local_segments_deleted_total")).toBe(2);
  expect(sampleValue(after, "pgrwl_wal_files_deleted_total")).toBe(0);
  expect(sampleValue(after, "pgrwl_retention_runs_total", { result: "dry_run" })).toBeGreaterThan(0);
  expect(sampleValue(after, "pgrwl_retention_removable_files")).toBe(0);
  expect(archiveStatus(archiver, Date.now())).toMatchObject({
    facts: { "To archive": "0 files, 0 B", Retention: "dry run, 0 of 3 files" },
    problem: undefined,
  });
  expect(await tested.local()).toEqual([nameOf(3)]);
});

describeWith(["promtool"], "promtool", () => {
  test("has nothing to say about the page", async () => {
    await using place = await s3();
    await using tested = await startArchiver({ storage: place.storage });
    await writeSegments(tested.directory, [1]);
    tested.run();
    await tested.until("one", () => uploaded(tested.archiver) === 1);
    const stdin = new Blob([await new Page().show(tested.archiver)]);
    const promtool = Bun.spawn(["promtool", "check", "metrics"], { stdin, stderr: "pipe", stdout: "pipe" });
    const said = (await new Response(promtool.stderr).text()) + (await new Response(promtool.stdout).text());
    expect(said).toBe("");
  });
});
