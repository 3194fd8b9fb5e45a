import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { statusJson } from "../../../agent/http/status-json.ts";
import { pageHeaders, statusPage } from "../../../agent/http/status-page.ts";
import { instance, now, status } from "./statuses.ts";

const context = { now, hostname: "db1.example", notices: [] };

test("every instance shows its state as a word, its times and its links", () => {
  const page = statusPage(status, context);
  for (const { name, state } of status.instances) {
    expect(page).toContain(name);
    expect(page).toContain(`</span> ${state}</span>`);
  }
  expect(page).toContain('<time datetime="2026-11-21T08:29:18.000Z" title="2026-11-21T08:29:18.000Z">42 s ago</time>');
  expect(page).toContain('href="metrics?collect%5B%5D=walg"');
  expect(page).toContain('href="walg/"');
  expect(page).toContain('href="//db1.example:7070/metrics"');
  expect(page).toContain("6 instances · 1 failing · 1 restarting · 1 starting · 3 running · 3,491 series");
  expect(page).toContain("<title>1 failing · holdfast</title>");
});

test("the link to an instance's own port leads to its metrics, wherever they are", () => {
  const instances = [instance({ listen: ":9351", metricsPath: "/telemetry" })];
  const page = statusPage({ ...status, instances }, { now, hostname: "db1.example", notices: [] });
  expect(page).toContain('href="//db1.example:9351/telemetry"');
});

test("what a plugin says of itself stands below its instance", () => {
  expect(statusPage(status, context)).toContain(
    "<div><dt>Receiver</dt><dd>streaming</dd></div><div><dt>Flushed</dt><dd>0/3000148 on timeline 1</dd></div>",
  );
});

test("an instance that runs and tells of a problem is shown as one that needs a look", () => {
  const troubled = instance({ problem: "WAL is missing: the slot was dropped" });
  const page = statusPage({ ...status, instances: [troubled, instance({ name: "other" })] }, context);
  expect(page).toContain("<title>1 problem · holdfast</title>");
  expect(page).toContain("2 instances · 2 running · 1 with a problem");
  expect(page).toContain('<span class="state failing"><span aria-hidden="true">▲</span> problem</span>');
  expect(page).toContain("<code>WAL is missing: the slot was dropped</code>");
  expect(statusJson({ ...status, instances: [troubled] }).instances[0]).toMatchObject({
    state: "running",
    problem: "WAL is missing: the slot was dropped",
  });
});

test("the page needs no script, and nothing from elsewhere", () => {
  const page = statusPage(status, context);
  expect(page).not.toMatch(/<script|\son\w+=|\ssrc=|\sstyle=|@import|url\(|http-equiv/i);
  const style = /<style>([\s\S]*)<\/style>/.exec(page)?.[1] ?? "";
  const digest = createHash("sha256").update(style).digest("base64");
  expect(pageHeaders["Content-Security-Policy"]).toContain(`default-src 'none'; style-src 'sha256-${digest}'`);
  expect(pageHeaders["Content-Security-Policy"]).toContain("frame-ancestors 'none'");
});

test("a failed reload and the agent's notices stand at the top", () => {
  const lastReload = { at: now - 60_000, successful: false, message: "holdfast.yml:3:1: Cannot read <this>" };
  const page = statusPage({ ...status, lastReload }, { ...context, notices: ["web.yml: no such file"] });
  expect(page).toContain("holdfast.yml:3:1: Cannot read &lt;this&gt;");
  expect(page).toContain("web.yml: no such file");
});

test("without instances the page says how to add one", () => {
  expect(statusPage({ ...status, instances: [] }, context)).toContain("No instance is configured");
});

test("no text from outside becomes markup", () => {
  const hostile = fc.string({
    unit: fc.constantFrom("<", ">", '"', "'", "&", "/", "a", "=", "\n", "\u0000", "\u2028", "`"),
  });
  fc.assert(
    fc.property(hostile, (text) => {
      const nasty = `<script>${text}</script>"onload='x`;
      const page = statusPage(
        {
          ...status,
          version: nasty,
          revision: nasty,
          configFile: nasty,
          lastReload: { at: now, successful: false, message: nasty },
          instances: [
            instance({
              name: nasty,
              plugin: nasty,
              version: nasty,
              source: nasty,
              hasRoutes: true,
              listen: nasty,
              lastError: { at: now, reason: nasty, message: nasty },
              facts: { [nasty]: nasty },
              problem: nasty,
            }),
          ],
        },
        { now, hostname: "localhost", notices: [nasty] },
      );
      expect(page).not.toContain("<script");
      expect(page).not.toContain('"onload');
      // Attributes that hold its text stay one attribute.
      expect(page).not.toMatch(/<[a-z]+[^<>]*\sonload=/);
    }),
    { numRuns: 50 },
  );
});

test("moments that no calendar has do not break the page", () => {
  const odd = instance({ startedAt: Number.NaN, lastSuccessAt: 9e15, nextRunAt: Number.POSITIVE_INFINITY });
  expect(statusPage({ ...status, startedAt: Number.NaN, instances: [odd] }, context)).toContain("walg");
});

test("the JSON has snake_case keys, ISO moments and null for what is not known", () => {
  const json = statusJson(status);
  expect(json).toMatchObject({ bun_version: "1.4.5", ready: true, last_reload: { successful: true, message: null } });
  expect(json.instances[1]).toEqual({
    name: "archive",
    plugin: "pgrwl",
    version: "0.1.0",
    source: "built-in",
    state: "running",
    started_at: "2026-11-21T06:30:00.000Z",
    interval_seconds: null,
    collecting: false,
    last_success_at: null,
    last_duration_seconds: null,
    next_run_at: null,
    last_error: null,
    facts: { Receiver: "streaming", Flushed: "0/3000148 on timeline 1", Lag: "0 B" },
    problem: null,
    restorable: [],
    restarts: 0,
    series: 24,
    has_routes: false,
    listen: ":7070",
  });
  expect(json.instances[3]?.last_error).toEqual({
    at: "2026-11-21T08:29:58.000Z",
    reason: "timeout",
    message: "No answer within 30 s",
  });
});
