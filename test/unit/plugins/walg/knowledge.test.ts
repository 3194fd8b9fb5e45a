/** What is believed of answers that do not agree. */
import { expect, test } from "bun:test";
import { parseBackupList } from "../../../../plugins/walg/backups.ts";
import { deltaChains } from "../../../../plugins/walg/delta-chains.ts";
import { knowledgeOf, type Operations, ownBackups } from "../../../../plugins/walg/knowledge.ts";
import { Operation } from "../../../../plugins/walg/operation.ts";
import type { ServerState } from "../../../../plugins/walg/server.ts";
import { settings } from "../../../../plugins/walg/settings.ts";

const at = (hour: number) => Date.parse(`2026-01-02T${String(hour).padStart(2, "0")}:00:00Z`);
const base = (segment: string) => `base_0000000100000000000000${segment}`;
const backup = (segment: string, hour: number, system_identifier: number | null) => ({
  backup_name: base(segment),
  wal_file_name: base(segment).slice(5),
  time: new Date(at(hour)).toISOString(),
  finish_time: new Date(at(hour)).toISOString(),
  system_identifier,
});
const server: ServerState = {
  lsn: undefined,
  timeline: 1,
  systemIdentifier: "7001",
  segmentSizeBytes: 2 ** 24,
  lastArchived: undefined,
  archiverFailures: 0,
  lastArchiverFailureAt: undefined,
  readySegments: undefined,
};

/** One that has answered so at each of these hours; undefined: it failed. */
async function asked<Answer>(answers: Readonly<Record<number, Answer | undefined>>): Promise<Operation<Answer>> {
  let hour = 0;
  const operation = new Operation<Answer>({
    name: "test",
    intervalSeconds: 60,
    ask: () => {
      const answer = answers[hour];
      return answer === undefined ? Promise.reject(new Error("no answer")) : Promise.resolve(answer);
    },
    onOutcome() {},
    now: () => at(hour),
  });
  const run = () => Promise.reject(new Error("nothing is run"));
  for (hour of Object.keys(answers).map(Number)) await operation.askOnce(run, new AbortController().signal);
  return operation;
}

/** Names of those that count after the server has answered so. */
async function own(answers: Readonly<Record<number, ServerState | undefined>>, ...records: object[]) {
  const found = parseBackupList(JSON.stringify(records));
  const operations: Operations = {
    list: await asked({ 9: { ...found, chains: deltaChains(found.backups) } }),
    timelines: undefined,
    verification: undefined,
    storage: await asked<void>({}),
    storageWrite: undefined,
    storageUsage: undefined,
    segments: undefined,
    server: await asked(answers),
    version: await asked<string | undefined>({}),
  };
  return ownBackups(knowledgeOf(operations, settings.parse({}), undefined, at(9) / 1000)).map(({ name }) => name);
}

const [before, after] = [backup("10", 2, 7001), backup("20", 5, 7002)];

test("a server that answers tells whose backups count, whatever backup is the newest", async () => {
  expect(await own({ 9: server }, before, after)).toEqual([base("10")]);
  expect(await own({ 9: { ...server, systemIdentifier: "7002" } }, before, after)).toEqual([base("20")]);
});

test("what a server told before it went away holds for the backups of its time, and no longer", async () => {
  expect(await own({ 6: server, 7: undefined }, before, after)).toEqual([base("10")]);
  expect(await own({ 3: server, 4: undefined }, before, after)).toEqual([base("20")]);
  expect(await own({ 3: server, 4: undefined }, after)).toEqual([base("20")]);
});

test("a backup that does not say whose it is counts", async () => {
  expect(await own({ 9: server }, backup("10", 2, null), after)).toEqual([base("10")]);
  expect(await own({ 9: server }, backup("10", 2, 0), after)).toEqual([base("10")]);
});
