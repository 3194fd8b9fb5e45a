/** Moments: the same in every time zone, for every version. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { replay, start } from "./replay.ts";

const recording = (file: string) => readFileSync(new URL(`../../../fixtures/barman/${file}`, import.meta.url), "utf8");

interface Entry {
  end_time: string;
  end_time_timestamp: string;
}

/** The list of Barman 2.19 as its process prints it in a zone: the wall clock of PostgreSQL's zone, read in its own. */
function listIn(timeZone: string): string {
  const list = JSON.parse(recording("2.19/timezones/list-backups_pg_Europe-Berlin.json")) as { pg: Entry[] };
  for (const entry of list.pg) {
    const wall = Date.parse(`${entry.end_time} UTC`);
    const shown = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" }).format(wall);
    const offset = Date.parse(`${shown.replace(" ", "T")}Z`) - wall;
    entry.end_time_timestamp = String((wall - offset) / 1000);
  }
  return JSON.stringify(list);
}

test.each(["Europe/Berlin", "America/New_York"])("listIn() makes what Barman 2.19 printed in %s", (zone) => {
  const file = `2.19/timezones/list-backups_pg_${zone.replace("/", "-")}.json`;
  expect(JSON.parse(listIn(zone))).toEqual(JSON.parse(recording(file)));
});

const show = recording("2.19/timezones/show-backup_pg_last_Europe-Berlin.json");

test.each(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])(
  "Barman 2.19 in %s: ends are corrected by show-backup, which has the offset",
  async (zone) => {
    const { state, run, collect } = await replay({ version: "2.19", scenarios: ["mixed"] });
    state.answer = (line) => {
      if (line === "list-backups all") return { stdout: listIn(zone) };
      return line === "show-backup pg 20261121T082809" ? { stdout: show } : undefined;
    };
    const page = await collect();
    expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': start / 1000 - 1795246089 });
    expect(page.of("barman_first_backup")).toEqual({ '{server="pg"}': start / 1000 - 1795245176 });
    expect(page.of("barman_backup_last_end_timestamp_seconds")).toEqual({ '{server="pg"}': 1795246089 });
    const shows = run.calls.filter((line) => line.startsWith("show-backup"));
    expect(shows).toHaveLength(zone === "UTC" ? 1 : 2);
    await collect(60);
    expect(run.calls).toEqual(["list-backups all", "check all"]);
  },
);

test("a Barman that is replaced by one with right timestamps is believed", async () => {
  const { state, collect } = await replay({ version: "2.19", scenarios: ["mixed"] });
  let zone = "Europe/Berlin";
  state.answer = (line) => {
    if (line === "list-backups all") return { stdout: listIn(zone) };
    return line === "show-backup pg 20261121T082809" ? { stdout: show } : { stdout: "{}" };
  };
  const first = async (seconds: number) => (await collect(seconds)).of("barman_first_backup")['{server="pg"}'];
  expect(await first(0)).toBe(start / 1000 - 1795245176);
  zone = "UTC";
  expect(await first(60)).toBe(start / 1000 + 60 - 1795245176);
});

test.each(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])(
  "Barman 3.4 in %s: the ages of UTC",
  async (timeZone) => {
    const { collect } = await replay({ scenarios: ["timezones/list", "timezones/show"], timeZone });
    const page = await collect();
    const { collect: collectUtc } = await replay({
      scenarios: ["timezones/list", "timezones/show"],
      timeZone: "UTC",
    });
    const utc = await collectUtc();
    for (const name of ["barman_last_backup", "barman_first_backup", "barman_backup_last_end_timestamp_seconds"]) {
      expect(page.of(name)).toEqual(utc.of(name));
      expect(page.of(name)).not.toEqual({});
    }
  },
);

test("in the hour that comes twice, the compat age follows Barman's last backup and the timestamp the latest end", async () => {
  const { collect } = await replay({ scenarios: ["timezones/dst-fallback"] });
  const page = await collect();
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 1795248000 - 1792888800 });
  expect(page.of("barman_backup_last_end_timestamp_seconds")).toEqual({ '{server="pg"}': 1792891500 });
});

test("a clock that is set back keeps neither old data nor old answers for longer", async () => {
  const { state, run, collect } = await replay({}, { cache_ttl: 300, wal_ttl: "1h", max_staleness: "10m" });
  await collect();
  state.answer = (line) => (line.startsWith("list-backups") ? { exitCode: 1, stderr: "broken" } : undefined);
  const page = await collect(-86_400);
  expect(run.calls).toContain("list-backups all");
  expect(page.of("barman_last_backup")).toEqual({ '{server="pg"}': 2480 - 86_400 });
  expect((await collect(899)).of("barman_last_backup")).toContainKey('{server="pg"}');
  expect((await collect(2)).of("barman_last_backup")).toEqual({});
});
