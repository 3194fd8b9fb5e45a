/** An archive of WAL on each storage: what is stored is verified, found in every form, and never replaced by something else. */
import { describe, expect, test } from "bun:test";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { encode } from "../../../../plugins/common/codec/codec.ts";
import { collect } from "../../../../plugins/common/storage/content.ts";
import { StorageError } from "../../../../plugins/common/storage/errors.ts";
import { headBytes } from "../../../../plugins/common/wal-archive/content.ts";
import { WalArchiveError } from "../../../../plugins/common/wal-archive/errors.ts";
import { describeWith } from "../../../harness/describe-with.ts";
import { createFolder } from "../../../harness/folders.ts";
import { segmentOf } from "../../../unit/plugins/pgrwl/receiver/wal-content.ts";
import { mib, nameOf, namesIn, placeKinds, writeSegments } from "./places.ts";

const formats = [
  {},
  { compression: "gzip" },
  { compression: { algorithm: "zstd", level: 5 } },
  { encryption: { passphrase: "geheim" } },
  { compression: "gzip", encryption: { passphrase: "geheim" } },
  { compression: "zstd", encryption: { passphrase: "geheim" } },
] as const;
const name = nameOf(3);
const content = segmentOf({ timeline: 1, number: 3 });

async function kindOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof WalArchiveError || error instanceof StorageError) return error.kind;
    throw error;
  }
  return "done";
}

for (const { name: kind, needs, start } of placeKinds) {
  describeWith(needs, `an archive on ${kind}`, () => {
    test("has what was stored in each format, and reads all of them with any settings", async () => {
      await using place = await start();
      await using folder = await createFolder("holdfast-wal");
      for (const [index, format] of formats.entries()) {
        await using archive = await place.open(format);
        const [file = ""] = await writeSegments(folder.path, [index + 1]);
        expect(await archive.put(file, join(folder.path, file))).toMatchObject({ outcome: "stored" });
      }
      await using archive = await place.open({ encryption: { passphrase: "geheim" } });
      for (const index of formats.keys()) {
        const target = join(folder.path, "fetched");
        const wanted = segmentOf({ timeline: 1, number: index + 1 });
        const fetched = await archive.fetch(nameOf(index + 1), target);
        expect(fetched.sizeBytes).toBe(mib);
        expect((await readFile(target)).equals(wanted)).toBe(true);
        expect(Buffer.from((await archive.read(nameOf(index + 1))).content).equals(wanted)).toBe(true);
      }
      for await (const file of archive.list()) {
        const wanted = await readFile(join(folder.path, file.name));
        expect(Buffer.from(await archive.head(file))).toEqual(wanted.subarray(0, headBytes));
      }
      expect((await namesIn(archive)).length).toBe(formats.length);
      expect((await readdir(folder.path)).filter((one) => one.includes("holdfast-tmp"))).toEqual([]);
    });

    test("finds what is equal, in whatever format, and refuses what is not", async () => {
      await using place = await start();
      await using folder = await createFolder("holdfast-wal");
      await writeSegments(folder.path, [3]);
      const file = join(folder.path, name);
      await using plain = await place.open();
      await using packed = await place.open({ compression: "zstd" });
      const stored = await packed.put(name, file);
      expect(stored).toMatchObject({ outcome: "stored", objectName: `wal-archive/${name}.zst` });
      expect(await plain.put(name, file)).toEqual({ ...stored, outcome: "present" });
      expect(await packed.put(name, file)).toEqual({ ...stored, outcome: "present" });
      expect(await plain.has(stored)).toBe(true);
      const other = Buffer.from(content);
      other[1000] = 0;
      await writeFile(file, other);
      expect(await kindOf(plain.put(name, file))).toBe("conflict");
      expect(await kindOf(packed.put(name, file))).toBe("conflict");
      expect((await namesIn(plain)).length).toBe(1);
      expect(Buffer.from((await plain.read(name)).content).equals(content)).toBe(true);
    });

    test("says that something is absent only where it is", async () => {
      await using place = await start();
      await using folder = await createFolder("holdfast-wal");
      await writeSegments(folder.path, [1]);
      await using archive = await place.open();
      await archive.put(nameOf(1), join(folder.path, nameOf(1)));
      expect(await kindOf(archive.fetch(name, join(folder.path, "x")))).toBe("absent");
      expect(await archive.find(name)).toEqual([]);
      expect(await kindOf(archive.read("00000002.history"))).toBe("absent");
      if (place.proxy) {
        await using there = await place.open({ storage: place.storage });
        place.proxy.refuse(true);
        expect(await kindOf(there.read(name))).toBe("unavailable");
        expect(await kindOf(there.find(name))).toBe("unavailable");
      }
      expect(await readdir(folder.path)).toEqual([nameOf(1)]);
    });

    test("gives nothing that is damaged, cut off, encrypted otherwise, or not what its name says", async () => {
      await using place = await start();
      await using folder = await createFolder("holdfast-wal");
      await using archive = await place.open({ encryption: { passphrase: "falsch" } });
      const { storage } = archive;
      const put = (object: string, bytes: Uint8Array) => storage.put(`wal-archive/${object}`, bytes);
      await put(`${nameOf(1)}.gz`, gzipSync(segmentOf({ timeline: 1, number: 1 })).subarray(0, -9));
      await put(nameOf(2), segmentOf({ timeline: 1, number: 2 }).subarray(0, mib / 2));
      await put(nameOf(3), segmentOf({ timeline: 1, number: 4 }));
      await put(nameOf(4), new Uint8Array(mib));
      const bytes = new Blob([segmentOf({ timeline: 1, number: 5 })]).stream();
      const encrypted = encode(bytes, { compression: "none", encryption_password: "geheim" });
      await put(`${nameOf(5)}.aes`, await collect(encrypted, 2 * mib));
      const target = join(folder.path, "x");
      const found = [1, 2, 3, 4, 5].map((number) => kindOf(archive.fetch(nameOf(number), target)));
      expect(await Promise.all(found)).toEqual(["damaged", "damaged", "damaged", "damaged", "password"]);
      expect(await readdir(folder.path)).toEqual([]);
      // A good one beside a bad one is taken.
      await put(`${nameOf(1)}.gz`, gzipSync(segmentOf({ timeline: 1, number: 1 })).subarray(0, -9));
      await put(nameOf(1), segmentOf({ timeline: 1, number: 1 }));
      expect((await archive.fetch(nameOf(1), target)).objectName).toBe(`wal-archive/${nameOf(1)}`);
    });

    test("refuses to store what is no WAL of that name", async () => {
      await using place = await start();
      await using folder = await createFolder("holdfast-wal");
      await using archive = await place.open();
      const file = join(folder.path, "file");
      for (const wrong of [new Uint8Array(mib), content.subarray(0, 1000), segmentOf({ timeline: 1, number: 4 })]) {
        await writeFile(file, wrong);
        expect(await kindOf(archive.put(name, file))).toBe("source");
      }
      expect(archive.put("../x", file)).rejects.toThrow(RangeError);
      expect(await namesIn(archive)).toEqual([]);
    });

    test.skipIf(kind === "local")("reads the early layout, without a folder", async () => {
      await using place = await start();
      await using archive = await place.open();
      await archive.storage.put(`${name}.gz`, gzipSync(content));
      await archive.storage.put("backups/20260101000000/base.tar", new Uint8Array(10));
      expect((await archive.read(name)).objectName).toBe(`${name}.gz`);
      expect(await namesIn(archive)).toEqual([name]);
      await using folder = await createFolder("holdfast-wal");
      await writeSegments(folder.path, [3]);
      expect((await archive.put(name, join(folder.path, name))).outcome).toBe("present");
    });
  });
}

describe("a local archive in the receive directory itself", () => {
  test("does not take what was received for what is archived", async () => {
    await using folder = await createFolder("holdfast-wal");
    await writeSegments(folder.path, [3]);
    const [local] = placeKinds;
    await using place = await local?.start();
    if (place === undefined) throw new Error("There is no local storage");
    await using archive = await place.open({ storage: { type: "local", directory: folder.path } });
    expect(await archive.find(name)).toEqual([]);
    expect((await archive.put(name, join(folder.path, name))).outcome).toBe("stored");
    expect(await readdir(join(folder.path, "wal-archive"))).toEqual([name]);
  });
});
