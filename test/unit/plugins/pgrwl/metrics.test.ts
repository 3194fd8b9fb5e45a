import { expect, test } from "bun:test";
import { toFamilies, toText } from "../../../../agent/sdk/exposition.ts";
import { InstanceMetrics } from "../../../../agent/sdk/metrics.ts";
import { type Knowledge, ReceiverMetrics } from "../../../../plugins/pgrwl/metrics.ts";
import { gapReasons, Telemetry } from "../../../../plugins/pgrwl/receiver/telemetry.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { findSamples, readSamples, sampleValue } from "../../../harness/samples.ts";
import { inState, knowledge, now, streaming } from "./receiver-under-test.ts";

const golden = Bun.file(new URL("../../../fixtures/pgrwl/page.txt", import.meta.url));
const nowSeconds = now / 1000;

/** A page that is collected again and again, as the agent does it. */
class Page {
  readonly #metrics: InstanceMetrics;
  readonly #labels: Record<string, string>;
  readonly #page: ReceiverMetrics;

  constructor(labels: Record<string, string> = {}) {
    this.#labels = labels;
    this.#metrics = new InstanceMetrics(Object.keys(labels));
    this.#page = new ReceiverMetrics(this.#metrics);
  }

  async show(known: Partial<Knowledge>): Promise<string> {
    this.#metrics.emptyGauges();
    this.#page.show(knowledge(known));
    return toText(await toFamilies(this.#metrics.all(), this.#labels));
  }
}

const full = (): Partial<Knowledge> => ({
  telemetry: streaming(),
  server: { systemIdentifier: "7331", serverVersion: "15.18", timeline: 2, segmentSizeBytes: 2 ** 24 },
  lastSegmentAt: nowSeconds - 60,
  space: { freeBytes: 5e9, sizeBytes: 1e10 },
  bytesPerSecond: 1e6,
});

test("the page is the golden one, labels of the configuration on every sample; UPDATE_DOCS=1 writes it anew", async () => {
  const text = await new Page({ cluster: "main" }).show(full());
  if (Bun.env.UPDATE_DOCS) await Bun.write(golden, text);
  expect(text).toBe(await golden.text());
  for (const { labels } of readSamples(text)) expect(labels.cluster).toBe("main");
});

describeWith(["promtool"], "promtool", () => {
  test("has nothing to say about the golden page", async () => {
    const promtool = Bun.spawn(["promtool", "check", "metrics"], { stdin: golden, stderr: "pipe", stdout: "pipe" });
    const said = (await new Response(promtool.stderr).text()) + (await new Response(promtool.stdout).text());
    expect(said).toBe("");
    expect(await promtool.exited).toBe(0);
  });
});

test("what is not known is not on the page", async () => {
  const names = new Set(readSamples(await new Page().show({})).map(({ name }) => name));
  const gauges = [...names].filter((name) => !/_total$|_duration_seconds_/.test(name));
  expect(gauges.sort()).toEqual(["pgrwl_connected", "pgrwl_gap", "pgrwl_receiver_state", "pgrwl_uptime_seconds"]);
});

test("what becomes unknown leaves the page", async () => {
  const page = new Page();
  expect(await page.show(full())).toContain("pgrwl_directory_free_bytes ");
  const text = await page.show({ telemetry: inState("waiting") });
  expect(text).not.toContain("pgrwl_directory_free_bytes ");
  expect(text).not.toContain("pgrwl_lag_bytes");
});

test("one state is 1, and connected is the one in which WAL comes", async () => {
  for (const state of ["streaming", "refused", "disk_full"] as const) {
    const text = await new Page().show({ telemetry: inState(state) });
    expect(findSamples(text, "pgrwl_receiver_state").filter(({ value }) => value === 1)).toMatchObject([
      { labels: { state } },
    ]);
    expect(sampleValue(text, "pgrwl_connected")).toBe(state === "streaming" ? 1 : 0);
  }
});

test("the lag is 0 when level, counts from when it began, and is unknown without a stream", async () => {
  const lag = async (telemetry: Telemetry) => {
    const text = await new Page().show({ telemetry });
    return [sampleValue(text, "pgrwl_lag_bytes"), sampleValue(text, "pgrwl_lag_seconds")];
  };
  const telemetry = streaming();
  expect(await lag(telemetry)).toEqual([4096, 1.5]);
  // More than the server has said: its next message says so too.
  telemetry.setLsn("flushed", 0x3003000n);
  telemetry.set("behindSince", 0);
  expect(await lag(telemetry)).toEqual([0, 0]);
  telemetry.state = "waiting";
  expect(await lag(telemetry)).toEqual([undefined, undefined]);
  telemetry.set("behindSince", nowSeconds - 9);
  expect(await lag(telemetry)).toEqual([undefined, 9]);
});

test("a flush that hangs shows since when", async () => {
  const telemetry = streaming();
  telemetry.set("flushingSince", nowSeconds - 3);
  const text = await new Page().show({ telemetry });
  expect(sampleValue(text, "pgrwl_flush_start_timestamp_seconds")).toBe(nowSeconds - 3);
});

test("counters go up with the receiver's, and never down when it begins anew", async () => {
  const page = new Page();
  const telemetry = streaming();
  const value = async (current: Telemetry) =>
    sampleValue(await page.show({ telemetry: current }), "pgrwl_wal_bytes_received_total");
  expect(await value(telemetry)).toBe(50_000_000);
  expect(await value(telemetry)).toBe(50_000_000);
  telemetry.add("receivedBytes", 5);
  expect(await value(telemetry)).toBe(50_000_005);
  const anew = new Telemetry();
  anew.set("receivedBytes", 10);
  expect(await value(anew)).toBe(50_000_015);
});

test("gaps are told apart by their reason, with a series for each from the start", async () => {
  const telemetry = inState("refused");
  telemetry.setInList("gapOpen", gapReasons.indexOf("wal_removed"), 1);
  telemetry.addToList("gaps", gapReasons.indexOf("wal_removed"));
  const text = await new Page().show({ telemetry });
  expect(sampleValue(text, "pgrwl_gap", { reason: "wal_removed" })).toBe(1);
  expect(sampleValue(text, "pgrwl_gap", { reason: "diverged" })).toBe(0);
  expect(sampleValue(text, "pgrwl_gaps_total", { reason: "wal_removed" })).toBe(1);
  expect(sampleValue(text, "pgrwl_gaps_total", { reason: "slot_lost" })).toBe(0);
  expect(sampleValue(text, "pgrwl_disconnects_total", { reason: "timeout" })).toBe(0);
});
