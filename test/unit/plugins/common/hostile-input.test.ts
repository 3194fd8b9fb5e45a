/** Every parser that reads what others wrote: whatever stands there, it ends, and what it throws speaks of it. */
import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { parseManifest } from "../../../../plugins/common/archive/backup-manifest.ts";
import { membersOf } from "../../../../plugins/common/archive/open-archive.ts";
import { decode, encode } from "../../../../plugins/common/codec/codec.ts";
import { codecSettings } from "../../../../plugins/common/codec/settings.ts";
import { readDataRow, readNotice, readParameterStatus } from "../../../../plugins/common/postgres/backend-messages.ts";
import { decodeServerMessage } from "../../../../plugins/common/postgres/replication-messages.ts";
import { parseTimelineHistory } from "../../../../plugins/common/postgres/timeline-history.ts";
import { parseCredentials } from "../../../../plugins/common/storage/s3/credentials.ts";
import { elements, textOf, unescapeXml } from "../../../../plugins/common/storage/s3/xml.ts";
import { entriesFor, parseKnownHosts, verdictOn } from "../../../../plugins/common/storage/sftp/known-hosts.ts";
import { snapshotFolder } from "../../../../plugins/common/tsdb/block-files.ts";
import { parseMeta } from "../../../../plugins/common/tsdb/meta.ts";
import { verifySnapshot } from "../../../../plugins/common/tsdb/verify.ts";
import { archiveStream } from "../../../../plugins/prombackup/formats.ts";
import { Parameters } from "../../../../plugins/prombackup/parameters.ts";
import { listSnapshot } from "../../../../plugins/prombackup/snapshot-entries.ts";
import { parseBackupList } from "../../../../plugins/walg/backups.ts";
import { parseStorageUsage } from "../../../../plugins/walg/storage-usage.ts";
import { parseTimelines } from "../../../../plugins/walg/timelines.ts";
import { parseVerification } from "../../../../plugins/walg/verification.ts";
import { parseStoredSegments } from "../../../../plugins/walg/wal-files.ts";
import { createFolder } from "../../../harness/folders.ts";
import { endsWell, nearly } from "../../../harness/hostile.ts";
import { skipHeadName, snapshotFolderFixture } from "../../../harness/snapshot-fixture.ts";

const fixtures = new URL("../../../fixtures/", import.meta.url).pathname;
const fixture = (path: string) => readFile(join(fixtures, path));
const bytes = (text: string) => Buffer.from(text);

const manifest = {
  version: 1,
  name: skipHeadName,
  completed: "2026-11-21T07:00:00Z",
  verified: true,
  blocks: [{ ulid: "01M7YES8CFHH15SSVT05T7XN09", min_time: 1, max_time: 2, level: 1 }],
  files: [{ path: "a/index", size_bytes: 1, sha256_hex: "0".repeat(64) }],
};
const meta =
  '{"ulid":"01M7YES8CFHH15SSVT05T7XN09","minTime":1,"maxTime":2,"stats":{"numSamples":3,"numSeries":4,"numChunks":5},"compaction":{"level":1,"sources":["01M7YES8CFHH15SSVT05T7XN09"]},"version":1}';
const list =
  "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a&#x20;b&amp;c</Key><Size>1</Size></Contents></ListBucketResult>";
const knownHosts = "@revoked *.example ssh-ed25519 AAAA\n|1|AAAA|AAAA ssh-rsa AAAA\n[a]:22,!b,?c* ssh-rsa AAAA\n";

const parsers: readonly [string, (text: string) => unknown, readonly Uint8Array[]][] = [
  ["wal-g backup-list", parseBackupList, [await fixture("walg/3.0.8/backup-list.json")]],
  ["wal-g wal-show", parseTimelines, [await fixture("walg/3.0.5/wal-show.json")]],
  ["wal-g wal-verify", parseVerification, [await fixture("walg/3.0.8/wal-verify.json")]],
  ["wal-g st ls", parseStoredSegments, [await fixture("walg/3.0.5/st-ls.txt")]],
  ["wal-g st ls, for its sizes", parseStorageUsage, [await fixture("walg/3.0.5/st-ls.txt")]],
  ["meta.json of a block", parseMeta, [bytes(meta)]],
  ["the manifest of a backup", parseManifest, [bytes(JSON.stringify(manifest))]],
  [
    "keys of AWS",
    (text) => parseCredentials(text, "default"),
    [bytes("[default]\naws_access_key_id = a\naws_secret_access_key=b\n")],
  ],
  ["a timeline history", parseTimelineHistory, [bytes("1\t0/3000000\tno recovery target\n\n2\t0/5000000\tbefore x\n")]],
  [
    "a list of S3",
    (text) => [...elements(text, "Contents")].map((one) => [textOf(one, "Key"), unescapeXml(one)]),
    [bytes(list)],
  ],
  [
    "known_hosts",
    (text) => verdictOn(entriesFor(parseKnownHosts(text), "[a]:22"), Buffer.from("x")),
    [bytes(knownHosts)],
  ],
];

test.each(parsers)("%s: any text is read or refused in words", async (_, parse, samples) => {
  await fc.assert(fc.asyncProperty(nearly(...samples), (content) => endsWell(() => parse(content.toString("utf8")))));
});

test.each([
  ["wal-g backup-list", parseBackupList],
  ["wal-g wal-verify", parseVerification],
  ["meta.json of a block", parseMeta],
  ["the manifest of a backup", parseManifest],
] as const)("%s: JSON that nests a hundred thousand deep is refused", async (_, parse) => {
  for (const deep of ["[".repeat(100_000), `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`])
    expect(await endsWell(() => parse(deep))).toBe(true);
});

const messages: readonly [string, (message: Buffer) => unknown][] = [
  ["a row", readDataRow],
  ["a parameter", readParameterStatus],
  ["a notice", readNotice],
  ["WAL and keep-alives", decodeServerMessage],
];

test.each(messages)("PostgreSQL's messages, %s: any bytes are read or refused in words", async (_, read) => {
  const row = Buffer.from([0, 2, 0, 0, 0, 1, 65, 255, 255, 255, 255]);
  const samples = [
    row,
    bytes("a\0b\0"),
    bytes("SERROR\0MHello\0\0"),
    Buffer.concat([bytes("w"), Buffer.alloc(40)]),
    Buffer.concat([bytes("k"), Buffer.alloc(17)]),
  ];
  await fc.assert(fc.asyncProperty(nearly(...samples), (message) => endsWell(() => read(message))));
});

test.each(["tar", "tgz", "tzst", "zip"] as const)(
  "an archive, %s: any bytes are unpacked or refused in words",
  async (format) => {
    await using snapshot = await snapshotFolderFixture();
    await using folder = await createFolder("holdfast-hostile");
    const { entries } = await listSnapshot(snapshot.path, skipHeadName);
    const small = entries.filter(({ path }) => !/chunks|index/.test(path));
    const chunks: Uint8Array[] = [];
    for await (const chunk of archiveStream({ name: skipHeadName, format, entries: small, moment: 0 }))
      chunks.push(new Uint8Array(chunk));
    const path = join(folder.path, "archive");
    const read = async () => {
      for await (const member of membersOf(path)) for await (const _ of member.content());
    };
    await fc.assert(
      fc.asyncProperty(nearly(Buffer.concat(chunks)), async (content) => {
        await writeFile(path, content);
        return await endsWell(read);
      }),
      { numRuns: 60 },
    );
  },
  120_000,
);

test.each([".gz", ".zst", ".aes", ".gz.aes", ".zst.aes"])(
  "an archived object, %s: any bytes are decoded or refused in words",
  async (extension) => {
    const compression = extension.includes("gz") ? "gzip" : extension.includes("zst") ? "zstd" : "none";
    const password = "a passphrase";
    const settings = codecSettings.parse({
      compression,
      ...(extension.includes("aes") ? { encryption_password: password } : {}),
    });
    async function* content() {
      yield new Uint8Array(70_000).fill(7);
    }
    const sample = Buffer.from(await new Response(encode(content(), settings)).arrayBuffer());
    await fc.assert(
      fc.asyncProperty(nearly(sample), (stored) =>
        endsWell(async () => {
          async function* source() {
            yield stored;
          }
          let most = 0;
          for await (const chunk of decode(source(), extension, { password, maxBytes: 100_000 }))
            most += chunk.byteLength;
          expect(most).toBeLessThanOrEqual(100_000);
        }),
      ),
      // A key is derived for each.
      { numRuns: extension.includes("aes") ? 15 : 60 },
    );
  },
  120_000,
);

test.each(["index", "chunks/000001", "meta.json", "tombstones"])(
  "a block's %s: any bytes are verified",
  async (name) => {
    await using folder = await snapshotFolderFixture();
    const root = join(folder.path, skipHeadName);
    const files = new Map<string, Buffer>();
    for (const path of (await snapshotFolder(root)).files.keys()) files.set(path, await readFile(join(root, path)));
    const [target = "", sample = Buffer.alloc(0)] = [...files].find(([path]) => path.endsWith(name)) ?? [];
    expect(target).not.toBe("");
    const blocks = new Set([...files.keys()].map((path) => path.split("/")[0] ?? ""));
    await fc.assert(
      fc.asyncProperty(nearly(sample), (content) =>
        endsWell(async () => {
          const all = new Map(files).set(target, content);
          const report = await verifySnapshot({
            files: new Map([...all].map(([path, { length }]) => [path, length])),
            folders: blocks,
            others: [],
            async open(path) {
              const found = all.get(path) ?? Buffer.alloc(0);
              return {
                sizeBytes: found.length,
                read: async (buffer, position) => found.copy(buffer, 0, position, position + buffer.length),
                [Symbol.asyncDispose]: async () => {},
              };
            },
          });
          for (const problem of report.problems) expect(problem.found.length).toBeGreaterThan(0);
        }),
      ),
      { numRuns: 40 },
    );
  },
  120_000,
);

test("the form and the query of a request: any text is read or refused with 400", async () => {
  const property = fc.asyncProperty(
    nearly(bytes("name=a%20b&skip_head=true")),
    nearly(bytes("keep=1&x=%e4%")),
    (query, body) =>
      endsWell(async () => {
        const url = `http://localhost/?${encodeURI(query.toString("latin1")).replaceAll("#", "")}`;
        const headers = { "Content-Type": "application/x-www-form-urlencoded" };
        const parameters = await Parameters.ofPost(
          new Request(url, { method: "POST", headers, body: new Uint8Array(body) }),
        );
        expect(typeof parameters.text("name")).toBe("string");
      }),
  );
  await fc.assert(property);
});
