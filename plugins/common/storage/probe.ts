/** Tries out everything that a storage is needed for, on one small object. */
import { createHash, randomBytes } from "node:crypto";
import { collect } from "./content.ts";
import { messageOf, StorageError } from "./errors.ts";
import type { OperationOptions, Storage } from "./storage.ts";

/**
 * Writes, describes, reads, lists and deletes a probe object.
 * @throws {StorageError} The first step that failed, named in the message; the probe object is removed if that is possible.
 */
export async function probe(storage: Storage, options: OperationOptions): Promise<void> {
  // In the root: a folder would stay behind.
  const name = `.holdfast-check-${randomBytes(8).toString("hex")}`;
  const content = randomBytes(64);
  const wrong = (what: string) =>
    new StorageError(
      "misconfigured",
      `Cannot rely on ${storage.description}: ${what}; is something else changing or caching it?`,
    );
  await step("write to", () => storage.put(name, content, options));
  try {
    const stat = await step("describe an object of", () => storage.stat(name, options));
    if (stat === undefined) throw wrong("an object that was just written is not there");
    if (stat.sizeBytes !== content.length) throw wrong(`an object of ${content.length} bytes has ${stat.sizeBytes}`);
    await step("read from", async () => {
      const { stream } = await storage.get(name, options);
      if (sha256(await collect(stream, 1 << 20)) !== sha256(content)) throw wrong("it gave back other bytes");
    });
    await step("list", async () => {
      let isListed = false;
      for await (const object of storage.list("", { ...options, startsWith: name })) isListed ||= object.name === name;
      if (!isListed) throw wrong("an object that was just written is not listed");
    });
  } catch (error) {
    await storage.delete([name], options).catch(() => {});
    throw error;
  }
  await step("delete from", () => storage.delete([name], options));
  if ((await storage.stat(name, options)) !== undefined) throw wrong("an object that was just deleted is still there");

  async function step<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
    try {
      return await work();
    } catch (cause) {
      if (!(cause instanceof StorageError)) throw cause;
      throw new StorageError(cause.kind, `Cannot ${what} ${storage.description}: ${messageOf(cause)}`, { cause });
    }
  }
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
