import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { parseBackups } from "../../../../plugins/barman/backups.ts";
import { errorFiles, parseChecks, redundancy } from "../../../../plugins/barman/checks.ts";
import { config } from "../../../../plugins/barman/config.ts";
import { parseDiagnosis } from "../../../../plugins/barman/diagnose.ts";
import { parseEnvelope } from "../../../../plugins/barman/envelope.ts";
import { beginOfBackup, parseIsoTime } from "../../../../plugins/barman/fields.ts";
import { withoutSecrets } from "../../../../plugins/barman/journal.ts";
import { parseReplication } from "../../../../plugins/barman/replication.ts";
import { parseBackupDetail } from "../../../../plugins/barman/show-backup.ts";

const fixtures = new URL("../../../fixtures/barman/", import.meta.url).pathname;
const capture = (file: string) => readFileSync(`${fixtures}${file}`, "utf8");

/** Each parser with a capture, and how many servers it finds in an answer. */
const parsers: readonly (readonly [string, string, (stdout: string) => number])[] = [
  ["parseBackups()", "3.4.0/mixed/list-backups_all.json", (stdout) => parseBackups(stdout).servers.size],
  ["parseChecks()", "3.4.0/mixed/check_all.json", (stdout) => parseChecks(stdout).servers.size],
  ["parseReplication()", "3.4.0/mixed/replication-status_all.json", (stdout) => parseReplication(stdout).servers.size],
  [
    "parseBackupDetail()",
    "3.4.0/healthy/show-backup_pg_last.json",
    (stdout) => (parseBackupDetail(stdout, "pg") ? 1 : 0),
  ],
  ["parseDiagnosis()", "3.17.0/failed-backup/diagnose.json", (stdout) => parseDiagnosis(stdout).servers.size],
];

/** Runs a parser; its own complaint counts as "found nothing", everything else is an error. */
function countOrRefuse(parse: (stdout: string) => number, stdout: string): number {
  try {
    return parse(stdout);
  } catch (error) {
    expect(error).toBeInstanceOf(SyntaxError);
    return 0;
  }
}

describe.each([...parsers])("%s", (_, file, parse) => {
  const text = capture(file);

  test("reads the capture", () => {
    expect(parse(text)).toBeGreaterThan(0);
  });
  test("refuses the capture cut off at any byte, and never takes its rest for an answer", () => {
    const step = Math.max(1, Math.floor(text.trimEnd().length / 1500));
    for (let length = 0; length < text.trimEnd().length; length += step) {
      expect(() => parse(text.slice(0, length))).toThrow(SyntaxError);
    }
  });
  test("reads it behind other lines, and refuses it before them or twice", () => {
    for (const noise of ["warning: {locale} is odd", "text", "\uFEFF", "[1]", "{ broken"]) {
      expect(parse(`${noise}\n${text}`)).toBe(parse(text));
    }
    for (const bad of [
      `${text}\ntext`,
      `${text}\n${text}`,
      `${text}${text}`,
      `{}\n${text}`,
      `noise\n${text}\n${text}`,
    ]) {
      expect(() => parse(bad)).toThrow(SyntaxError);
    }
  });
  test.each([
    "",
    " \n",
    "null",
    "[]",
    "7",
    '"text"',
    "true",
    "{",
    "\0",
    '{"pg": 5}',
    '{"pg": null}',
    '{"pg": "x"}',
    '{"_ERROR": {"toString": 0}}',
  ])("finds nothing in %j", (stdout) => {
    expect(countOrRefuse(parse, stdout)).toBe(0);
  });
  test("throws nothing but SyntaxError on any JSON", () => {
    fc.assert(fc.property(fc.json({ maxDepth: 6 }), (json) => void countOrRefuse(parse, json)));
  });
  test("throws nothing but SyntaxError when any part of the capture has another type", () => {
    const paths: (readonly string[])[] = [];
    const walk = (value: unknown, path: readonly string[]) => {
      paths.push(path);
      if (typeof value !== "object" || value === null) return;
      for (const [key, child] of Object.entries(value)) walk(child, [...path, key]);
    };
    walk(JSON.parse(text), []);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, replacement) => {
        const copy = JSON.parse(text) as Record<string, unknown>;
        let parent: Record<string, unknown> = { root: copy };
        let key = "root";
        for (const next of path) {
          parent = parent[key] as Record<string, unknown>;
          key = next;
        }
        parent[key] = replacement;
        countOrRefuse(parse, JSON.stringify(path.length === 0 ? replacement : copy));
      }),
    );
  });
});

test("every recording of all versions is read or refused by every parser", () => {
  const files = readdirSync(fixtures, { recursive: true, encoding: "utf8" }).filter((file) =>
    /\.(json|txt)$/.test(file),
  );
  expect(files.length).toBeGreaterThan(300);
  for (const file of files) for (const [, , parse] of parsers) countOrRefuse(parse, capture(file));
});

test("message keys are never servers", () => {
  const keys = ["_INFO", "_WARNING", "_ERROR", "_EXCEPTION", "_DEBUG"];
  const stdout = JSON.stringify({ ...Object.fromEntries(keys.map((key) => [key, ["text"]])), pg: [] });
  expect([...parseBackups(stdout).servers.keys()]).toEqual(["pg"]);
  expect(parseEnvelope(stdout, "x").messages.exception).toEqual(["text"]);
});

test("parseBackups() keeps backups that wait for WAL, failed ones and those of unknown status, newest first", () => {
  const { servers } = parseBackups(capture("3.4.0/failed-backup/list-backups_all.json"));
  expect(servers.get("pg")?.map(({ id, status, sizeBytes }) => [id, status, sizeBytes])).toEqual([
    ["20261121T072006", "FAILED", undefined],
    ["20261121T071840", "DONE", 128642708],
    ["20261121T071324", "DONE", 145321615],
    ["20261121T070859", "DONE", 67866255],
  ]);
});

test("a server whose part cannot be read is named, and the others are read", () => {
  const { servers, unreadable } = parseBackups('{"a": [], "b": {}, "c": [{"backup_id": 7, "status": "DONE"}]}');
  expect([...servers.keys()]).toEqual(["a"]);
  expect(unreadable).toEqual(["b", "c"]);
});

test("errors say nothing of the content of an answer", () => {
  expect(() => parseDiagnosis('{"servers": {"conninfo": "password=hunter2"')).toThrow(/^((?!hunter2).)*$/);
  expect(withoutSecrets("could not connect: host=a password=hunter2 user=b")).not.toContain("hunter2");
  expect(withoutSecrets("password = 'hun ter2' x")).not.toContain("ter2");
  expect(withoutSecrets("postgresql://me:hunter2@host/db")).not.toContain("hunter2");
});

test("times with an offset are moments, and nothing else is", () => {
  expect(parseIsoTime("2026-11-21 07:12:56.560814+00:00")).toBeCloseTo(1795245176.560814, 5);
  expect(parseIsoTime("2026-11-21T12:42:56+05:30")).toBe(1795245176);
  expect(parseIsoTime("2026-11-21 02:12:56-05:00")).toBe(1795245176);
  for (const text of ["Sat Nov 21 07:17:54 2026", "2026-11-21 07:12:56", "", "20261121T071840"]) {
    expect(parseIsoTime(text)).toBeUndefined();
  }
  expect(beginOfBackup("nightly-2")).toBeUndefined();
});

test("hints give counts where they hold some", () => {
  expect(errorFiles({ ok: true, hint: "" })).toBe(0);
  expect(errorFiles({ ok: false, hint: "duplicates: 2, unknown: 13" })).toBe(15);
  expect(errorFiles({ ok: false, hint: "something else" })).toBeUndefined();
  expect(redundancy({ ok: true, hint: "have 3 backups, expected at least 9" })).toEqual({ have: 3, wanted: 9 });
  expect(redundancy({ ok: true, hint: "" })).toBeUndefined();
});

test("config: {} is enough; TTLs are seconds or durations; what makes no sense is refused", () => {
  expect(config.parse({})).toMatchObject({ path: "barman", compat: "exporter", cache_ttl: 0, parallelism: 2 });
  expect(config.parse({ cache_ttl: 50, checks_cache_ttl: "1h" })).toMatchObject({
    cache_ttl: 50,
    checks_cache_ttl: 3600,
  });
  expect(config.parse({ cache_ttl: "50", timeouts: { check: "5s" } }).timeouts).toMatchObject({ check: 5, server: 30 });
  const wrong = [{ cache_ttl: -1 }, { cache_ttl: "soon" }, { timeouts: { check: 0 } }, { pth: "x" }, { collect: [] }];
  for (const input of wrong) expect(config.safeParse(input).success).toBe(false);
});
