/** What every storage does alike. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { collect } from "../../../plugins/common/storage/content.ts";
import { checkName } from "../../../plugins/common/storage/names.ts";
import type { ByteRange, Storage } from "../../../plugins/common/storage/storage.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { createFolder } from "../../harness/folders.ts";
import { failureOf, kinds, type Place } from "./storages.ts";

const walSegment = "wal-archive/000000010000000000000003.gz.aes";
const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");
/** Larger than a part of an S3 upload, and no multiple of anything. */
const large = randomBytes(12_345_678);

async function* inChunks(content: Uint8Array, size = 100_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

for (const kind of kinds) {
  describeWith(kind.needs, kind.name, () => {
    let place: Place;
    let storage: Storage;
    beforeAll(async () => {
      place = await kind.start();
    });
    afterAll(() => place[Symbol.asyncDispose]());
    beforeEach(async () => {
      storage = await place.empty();
    });

    const read = async (name: string, range?: ByteRange) => {
      const { stream } = await storage.get(name, range === undefined ? {} : { range });
      return await collect(stream, 1 << 30);
    };
    const names = async (folder: string, startsWith?: string) => {
      const found: string[] = [];
      for await (const object of storage.list(folder, startsWith === undefined ? {} : { startsWith }))
        found.push(object.name);
      return found;
    };

    test("an object is read back as it was put, and described", async () => {
      const before = Date.now() - 2000;
      const put = await storage.put(walSegment, Buffer.from("content"));
      expect(put).toMatchObject({ name: walSegment, sizeBytes: 7, sha256: sha256(Buffer.from("content")) });
      expect(Buffer.from(await read(walSegment)).toString()).toBe("content");
      const stat = await storage.stat(walSegment);
      expect(stat).toMatchObject({ name: walSegment, sizeBytes: 7 });
      expect(stat?.modified.getTime()).toBeWithin(before, Date.now() + 2000);
      if (stat?.sha256 !== undefined) expect(stat.sha256).toBe(put.sha256);
      expect(stat?.etag).toBe(put.etag);
    });

    test.each([0, 1, 65_536, 5 * 2 ** 20, 10 * 2 ** 20, large.length])(
      "content of %i bytes is stored whole",
      async (size) => {
        const content = large.subarray(0, size);
        for (const sizeBytes of [undefined, size]) {
          const options = sizeBytes === undefined ? {} : { sizeBytes };
          expect(await storage.put("x", inChunks(content), options)).toMatchObject({
            sizeBytes: size,
            sha256: sha256(content),
          });
          expect(sha256(await read("x"))).toBe(sha256(content));
        }
        expect(place.leftOvers()).toBe(0);
      },
    );

    test("a file of this machine is put", async () => {
      await using folder = await createFolder("holdfast-storage-file");
      await writeFile(`${folder.path}/file`, large);
      await storage.put("x", { file: `${folder.path}/file` });
      expect(sha256(await read("x"))).toBe(sha256(large));
      await expect(storage.put("y", { file: `${folder.path}/none` })).rejects.toThrow("ENOENT");
      expect(await storage.stat("y")).toBeUndefined();
    });

    test("a range of an object is read", async () => {
      await storage.put("x", Buffer.from("0123456789"));
      const text = async (range: ByteRange) => Buffer.from(await read("x", range)).toString();
      expect(await text({ start: 0, end: 4 })).toBe("0123");
      expect(await text({ start: 4 })).toBe("456789");
      expect(await text({ start: 9, end: 100 })).toBe("9");
      expect(await text({ start: 4, end: 4 })).toBe("");
      expect(await text({ start: 10 })).toBe("");
      expect(await text({ start: 11, end: 12 })).toBe("");
      const { object, sizeBytes, stream } = await storage.get("x", { range: { start: 8 } });
      await stream.cancel();
      expect([object.sizeBytes, sizeBytes]).toEqual([10, 2]);
      for (const range of [{ start: -1 }, { start: 3, end: 2 }, { start: 0.5 }]) {
        await expect(storage.get("x", { range })).rejects.toThrow(RangeError);
      }
      await storage.put("large", large);
      expect(sha256(await read("large", { start: 1_000_001, end: 9_000_000 }))).toBe(
        sha256(large.subarray(1_000_001, 9_000_000)),
      );
    });

    test("an absent object is told as one", async () => {
      await storage.put("folder/x", Buffer.from("x"));
      for (const name of ["y", "folder", "folder/y", "folder/x/y", "none/y"]) {
        expect([name, await storage.stat(name)]).toEqual([name, undefined]);
        expect((await failureOf(storage.get(name))).kind).toBe("not-found");
        expect((await failureOf(storage.get(name, { range: { start: 1, end: 1 } }))).kind).toBe("not-found");
      }
      expect(await names("none")).toEqual([]);
      await storage.delete(["y", "none/y"]);
    });

    test("an object is replaced, but not where it must be absent", async () => {
      await storage.put("x", Buffer.from("one"));
      await storage.put("x", Buffer.from("another"));
      expect(Buffer.from(await read("x")).toString()).toBe("another");
      expect((await failureOf(storage.put("x", Buffer.from("third"), { ifAbsent: true }))).kind).toBe("exists");
      expect(Buffer.from(await read("x")).toString()).toBe("another");
      await storage.put("y", Buffer.from("new"), { ifAbsent: true });
      expect(Buffer.from(await read("y")).toString()).toBe("new");
      expect(place.leftOvers()).toBe(0);
    });

    test("of writers that want an object absent, one at most succeeds", async () => {
      const attempts = Array.from({ length: 8 }, (_, n) =>
        storage.put("x", Buffer.from(`writer ${n}`), { ifAbsent: true }),
      );
      const outcomes = await Promise.allSettled(attempts);
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    });

    test("content that fails, or has another size, leaves nothing behind", async () => {
      await storage.put("x", Buffer.from("before"));
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield* inChunks(large);
        throw new Error("boom");
      }
      await expect(storage.put("x", failing())).rejects.toThrow("boom");
      for (const sizeBytes of [large.length - 1, large.length + 1, 0]) {
        const error = await storage.put("x", inChunks(large), { sizeBytes }).catch((thrown: unknown) => thrown);
        expect(String(error)).toContain(`Cannot store content of ${sizeBytes} bytes`);
      }
      expect(Buffer.from(await read("x")).toString()).toBe("before");
      expect(await names("")).toEqual(["x"]);
      expect(place.leftOvers()).toBe(0);
    });

    test("an abort ends a put whose content is silent, and closes it", async () => {
      const controller = new AbortController();
      const state = { isClosed: false };
      const silent: AsyncIterable<Uint8Array> = {
        [Symbol.asyncIterator]: () => ({
          next: () => {
            queueMicrotask(() => controller.abort(new Error("enough")));
            return new Promise(() => {});
          },
          return: async () => {
            state.isClosed = true;
            return { done: true, value: undefined };
          },
        }),
      };
      const error = await storage.put("x", silent, { signal: controller.signal }).catch((thrown: unknown) => thrown);
      expect(String(error)).toBe("Error: enough");
      expect(state.isClosed).toBe(true);
      expect(await storage.stat("x")).toBeUndefined();
      expect(place.leftOvers()).toBe(0);
      const aborted = { signal: AbortSignal.abort(new Error("already")) };
      await expect(storage.stat("x", aborted)).rejects.toThrow("already");
    });

    test("a download that nobody finishes holds nothing", async () => {
      await storage.put("x", large);
      for (let n = 0; n < 30; n++) {
        const { stream } = await storage.get("x");
        const reader = stream.getReader();
        if (n % 2 === 0) await reader.read();
        await reader.cancel();
      }
      const controller = new AbortController();
      const { stream } = await storage.get("x", { signal: controller.signal });
      const reader = stream.getReader();
      await reader.read();
      controller.abort(new Error("enough"));
      const outcome = await drain(reader).catch((thrown: unknown) => thrown);
      expect(String(outcome)).toBe("Error: enough");
      expect(sha256(await read("x"))).toBe(sha256(large));
    });

    test("a list has everything below a folder, in order, and no siblings", async () => {
      const all = ["a", "a.b", "a/1", "a/b/c", "a/b/d", "a/é", "a0", "ab/1", "b/2", "b c+&%/3 <x>'\"", "ﬁ", "😀"];
      // A name cannot be an object and a folder at once on every storage.
      const stored = all.filter((name) => name !== "a");
      await Promise.all(stored.map((name) => storage.put(name, Buffer.from(name))));
      const ordered = [...stored].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
      expect(await names("")).toEqual(ordered);
      expect(await names("a")).toEqual(["a/1", "a/b/c", "a/b/d", "a/é"]);
      expect(await names("a/b")).toEqual(["a/b/c", "a/b/d"]);
      expect(await names("a", "b")).toEqual(["a/b/c", "a/b/d"]);
      expect(await names("", "a")).toEqual(ordered.filter((name) => name.startsWith("a")));
      for await (const { name, sizeBytes } of storage.list("")) expect(sizeBytes).toBe(Buffer.byteLength(name));
    });

    test("deleting takes exactly what was named", async () => {
      const stored = ["a/1", "a/10", "a/1.gz", "a/2", "ab/1", "b'&<\">/1"];
      for (const name of stored) await storage.put(name, Buffer.from(name));
      await storage.put("a/1", Buffer.from("again"));
      await storage.delete(["a/1"]);
      expect(await names("")).toEqual(["a/1.gz", "a/10", "a/2", "ab/1", "b'&<\">/1"]);
      async function* later() {
        yield "a/2";
        yield "none";
        yield "b'&<\">/1";
      }
      await storage.delete(later());
      expect(await names("")).toEqual(["a/1.gz", "a/10", "ab/1"]);
      await storage.delete([]);
    });

    test("a hundred objects are put, read and deleted at once", async () => {
      const all = Array.from({ length: 100 }, (_, n) => `wal/${String(n).padStart(4, "0")}`);
      await Promise.all(all.map((name) => storage.put(name, Buffer.from(name.repeat(1000)))));
      const contents = await Promise.all(all.map((name) => read(name)));
      expect(contents.map((content) => content.length)).toEqual(all.map(() => 8000));
      expect(await names("wal")).toEqual(all);
      await storage.delete(all);
      expect(await names("")).toEqual([]);
    });

    test.each(["", "/x", "x/", "a//b", ".", "..", "../x", "a/../b", "a/./b", "a\\b", "a\0b", "a\nb", "x".repeat(300)])(
      "%j is no name",
      async (name) => {
        expect(() => checkName(name)).toThrow(RangeError);
        await expect(storage.put(name, Buffer.from("x"))).rejects.toThrow(RangeError);
        await expect(storage.get(name)).rejects.toThrow(RangeError);
        await expect(storage.stat(name)).rejects.toThrow(RangeError);
        await expect(storage.delete([name])).rejects.toThrow(RangeError);
      },
    );

    test("check() finds nothing wrong and leaves nothing behind", async () => {
      expect(await storage.check()).toEqual([]);
      expect(await names("")).toEqual([]);
    });
  });
}

async function drain(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}
