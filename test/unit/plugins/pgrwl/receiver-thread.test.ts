/** How an instance gets along with a thread that fails, by threads that are made to. */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LogFields } from "../../../../agent/sdk/log.ts";
import { ReceiverThread } from "../../../../plugins/pgrwl/receiver-thread.ts";
import { receiverSettings, settings } from "../../../../plugins/pgrwl/settings.ts";
import { createFolder } from "../../../harness/folders.ts";
import { waitFor } from "../../../harness/wait.ts";

/** A thread whose code is `source`; `tell(message)` is there, and `heard(message)` is what it does. */
async function thread(source: string, stopWithinMs = 5_000) {
  const folder = await createFolder("holdfast-thread");
  const entry = join(folder.path, "thread.ts");
  await writeFile(
    entry,
    `const tell = (message: object) => postMessage(message);
const stand = (state: string) => tell({ kind: "standing", standing: { state } });
self.onmessage = async ({ data }) => {
  const { kind } = data;
  ${source}
};`,
  );
  const lines: { level: string; message: string; fields: LogFields | undefined }[] = [];
  const at = (level: string) => (message: string, fields?: LogFields) => void lines.push({ level, message, fields });
  const log = { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  const receiver = new ReceiverThread({
    settings: receiverSettings(settings.parse({ directory: "/wal", slot: "main" })),
    environment: { PGHOST: "db1", PGPORT: undefined },
    log,
    now: () => 1_000,
    entry,
    stopWithinMs,
  });
  const stopping = new AbortController();
  return {
    receiver,
    lines,
    run: () => receiver.run(stopping.signal),
    abort: () => stopping.abort(),
    [Symbol.asyncDispose]: async () => {
      await receiver.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("a thread that says that it failed fails the instance, in its words", async () => {
  await using failing = await thread(`tell({ kind: "failed", message: "The moon is full" });`);
  await expect(failing.run()).rejects.toThrow("The moon is full");
  await failing.receiver.stop();
});

test("a stray error in the thread fails the instance, and nothing else", async () => {
  await using failing = await thread(`throw new TypeError("no such thing");`);
  await expect(failing.run()).rejects.toThrow(/^The receiving thread failed: .*no such thing/);
});

test("a thread that ends by itself fails the instance", async () => {
  await using failing = await thread("process.exit(3);");
  await expect(failing.run()).rejects.toThrow("The receiving thread ended although nothing stopped it");
});

test("a thread that has finished may end: the instance goes on without it", async () => {
  await using finished = await thread(`stand("finished"); tell({ kind: "stopped" });`);
  const work = finished.run();
  await waitFor("the end", () => finished.receiver.standing.state === "finished");
  expect(await Promise.race([work.then(() => "over"), Bun.sleep(0).then(() => "open")])).toBe("open");
  finished.abort();
  await work;
});

test("a thread that does not stop is ended, with a warning", async () => {
  await using deaf = await thread(`stand("streaming");`, 50);
  const work = deaf.run();
  await waitFor("the stream", () => deaf.receiver.standing.state === "streaming");
  deaf.abort();
  await work;
  expect(deaf.lines).toEqual([
    {
      level: "warn",
      message: "The receiver did not stop in time, its last flush may be missing",
      fields: { waited_seconds: 0.05 },
    },
  ]);
});

test("a thread that is busy for ever does not hold up the stop", async () => {
  await using busy = await thread(`stand("streaming"); for (;;);`, 50);
  const work = busy.run();
  await waitFor("the stream", () => busy.receiver.standing.state === "streaming");
  await busy.receiver.stop();
  await work;
});

test("what it tells is kept, its log lines pass unchanged, and both threads see the numbers", async () => {
  await using telling = await thread(`
    if (kind === "stop") return tell({ kind: "stopped" });
    const numbers = new BigUint64Array(data.telemetry, 0, 1);
    numbers[0] = 42n;
    tell({ kind: "log", level: "warn", message: "Said", fields: { host: data.environment.PGHOST, port: "PGPORT" in data.environment } });
    tell({ kind: "server", facts: { systemIdentifier: "7", serverVersion: "18.1", timeline: 1, segmentSizeBytes: 1 } });
    tell({ kind: "gap", reason: "timeline", refused: true, message: "Gone" });
    tell({ kind: "segment", name: "000000010000000000000001" });
    stand("streaming");`);
  const work = telling.run();
  const { receiver } = telling;
  await waitFor("its words", () => receiver.standing.state === "streaming");
  expect(receiver.telemetry.lsn("received")).toBe(42n);
  expect(telling.lines).toEqual([{ level: "warn", message: "Said", fields: { host: "db1", port: false } }]);
  expect(receiver.server?.serverVersion).toBe("18.1");
  expect(receiver.gap).toEqual({ reason: "timeline", refused: true, message: "Gone", foundAt: 1_000 });
  expect(receiver.lastSegmentAt).toBe(1_000);
  telling.abort();
  await work;
});

test("one that is stopped before it runs never starts", async () => {
  await using early = await thread(`tell({ kind: "failed", message: "It ran" });`);
  early.abort();
  await early.run();
});
