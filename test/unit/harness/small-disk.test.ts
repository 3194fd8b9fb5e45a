import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeWith } from "../../harness/describe-with.ts";
import { createSmallDisk } from "../../harness/small-disk.ts";

const mebibyte = 2 ** 20;

describeWith(["a small file system"], "a small file system", () => {
  test("is full when it is full, has room once it has grown, keeps what it held, and is gone in the end", async () => {
    const disk = await createSmallDisk(2 * mebibyte);
    const file = (name: string) => join(disk.path, name);
    await writeFile(file("first"), Buffer.alloc(mebibyte, 1));
    expect(await disk.freeBytes()).toBe(mebibyte);
    expect(writeFile(file("second"), Buffer.alloc(2 * mebibyte))).rejects.toThrow("ENOSPC");
    await disk.resize(8 * mebibyte);
    await writeFile(file("second"), Buffer.alloc(2 * mebibyte));
    expect(await Bun.file(file("first")).bytes()).toEqual(new Uint8Array(mebibyte).fill(1));
    await disk[Symbol.asyncDispose]();
    expect(existsSync(disk.path)).toBe(false);
  });
});
