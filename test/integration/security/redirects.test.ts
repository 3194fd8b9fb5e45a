/** A server that sends us elsewhere, to whoever asked it to: nothing is asked there, and no key or token arrives there. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { SnapshotServer } from "../../../agent/commands/snapshot/server.ts";
import { openStorage } from "../../../plugins/common/storage/open.ts";
import { storageSettings } from "../../../plugins/common/storage/settings.ts";
import { ServeClient } from "../../../plugins/common/wal-archive/serve-client.ts";
import { Prometheus } from "../../../plugins/prombackup/prometheus.ts";
import { createFolder } from "../../harness/folders.ts";

const server = (fetch: (request: Request) => Response) =>
  Bun.serve({ port: 0, hostname: "127.0.0.1", reusePort: false, fetch });

const list = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

const clients: readonly [string, (url: string) => Promise<unknown>][] = [
  [
    "S3",
    async (url) => {
      const keys = { access_key_id: "a", secret_access_key: "b", attempts: 1 };
      const settings = storageSettings.parse({ type: "s3", bucket: "wal", endpoint: url, path_style: true, ...keys });
      await using storage = await openStorage(settings, { environment: {} });
      return await Array.fromAsync(storage.list("wal-archive"));
    },
  ],
  [
    "an agent that serves WAL",
    async (url) => {
      await using folder = await createFolder("holdfast-redirect");
      const client = new ServeClient({ address: url, token: "a-token-of-twenty-letters" });
      return await client.fetch("000000010000000000000003", join(folder.path, "out"));
    },
  ],
  [
    "Prometheus",
    (url) => {
      const settings = { url, username: "a", password: "b", timeout: 5, insecure_skip_verify: false };
      return new Prometheus(settings as ConstructorParameters<typeof Prometheus>[0]).takeSnapshot(false);
    },
  ],
  ["a prombackup server", (url) => new SnapshotServer(url.replace("://", "://a:b@")).takeSnapshot(false)],
];

test.each(clients)("%s", async (_, ask) => {
  const arrived: string[] = [];
  const elsewhere = server((request) => {
    arrived.push(`${request.method} ${request.url}`);
    return new Response(list);
  });
  try {
    for (const status of [301, 302, 303, 307, 308]) {
      const redirecting = server(() => new Response(null, { status, headers: { Location: elsewhere.url.href } }));
      try {
        await expect(ask(redirecting.url.href.replace(/\/$/, ""))).rejects.toThrow();
      } finally {
        await redirecting.stop(true);
      }
    }
  } finally {
    await elsewhere.stop(true);
  }
  expect(arrived).toEqual([]);
});
