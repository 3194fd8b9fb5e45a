/** What is said of a file that cannot be brought to where PostgreSQL wants it, or not be had. */
import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { restoreFailure, restoreFile } from "../../../plugins/common/wal-archive/restore.ts";
import { ServeClient } from "../../../plugins/common/wal-archive/serve-client.ts";
import type { WalSource } from "../../../plugins/common/wal-archive/wal-source.ts";
import { createFolder } from "../../harness/folders.ts";
import { freePort } from "../../harness/ports.ts";

const name = "00000002.history";
const history = "1\t0/3000000\tno recovery target specified\n";

/** What `restoreFile` is rejected with. */
async function failureOf(fetch: WalSource["fetch"], destination: string): Promise<Error> {
  const signal = new AbortController().signal;
  const source = { fetch } as WalSource;
  return await restoreFile({ source, name, destination, retryMs: 0, signal }).then(
    () => new Error("nothing went wrong"),
    (error: Error) => error,
  );
}

test("a destination that is a folder is named", async () => {
  await using folder = await createFolder("holdfast-restore-file");
  const destination = join(folder.path, "RECOVERYXLOG");
  await mkdir(join(destination, "x"), { recursive: true });
  const fetch = async (_: string, path: string) => {
    await writeFile(path, history);
    return "whole" as const;
  };
  const error = await failureOf(fetch, destination);
  expect(error.message).toStartWith(`Cannot write ${destination}: E`);
  expect(restoreFailure(error)).toBe("local");
});

test("a disk without room is that of the destination, and a file that cannot be read is not", async () => {
  await using folder = await createFolder("holdfast-restore-file");
  const destination = join(folder.path, "RECOVERYXLOG");
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" });
  expect((await failureOf(() => Promise.reject(full), destination)).message).toBe(
    `Cannot write ${destination}: ENOSPC: no space left on device, write`,
  );
  const unread = Object.assign(new Error("EACCES: permission denied, open '/wal/x'"), {
    code: "EACCES",
    path: "/wal/x",
  });
  expect(await failureOf(() => Promise.reject(unread), destination)).toBe(unread);
});

test("an agent that does not listen is an outage, in our words", async () => {
  await using folder = await createFolder("holdfast-restore-file");
  const address = `127.0.0.1:${await freePort()}`;
  const client = new ServeClient({ address });
  const error = await failureOf(client.fetch.bind(client), join(folder.path, "RECOVERYXLOG"));
  expect(error.message).toBe(
    `Cannot get http://${address}/api/v1/wal/${name}: the connection was refused; does the agent run, and listen there (listen, port)?`,
  );
  expect(restoreFailure(error)).toBe("outage");
});
