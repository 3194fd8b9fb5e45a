/** Reads the objects of an archive: decoded, counted and checked, whatever their format. */
import { createHash } from "node:crypto";
import { decode } from "../codec/codec.ts";
import { CodecError } from "../codec/errors.ts";
import { messageOf, StorageError } from "../storage/errors.ts";
import type { Storage } from "../storage/storage.ts";
import { contentFlaw, Head, headBytes, mostBytes } from "./content.ts";
import { WalArchiveError } from "./errors.ts";
import type { WalFileName } from "./object-names.ts";
import type { Fetched, ReadOptions } from "./transfers.ts";

/** Reads a stream to its end. */
export type Take = (stream: AsyncIterable<Uint8Array>) => Promise<void>;
export const drain: Take = async (stream) => {
  for await (const _ of stream);
};

export class ObjectReader {
  readonly #storage: Storage;
  readonly #password: string | undefined;

  /** @param password Of what is encrypted. */
  constructor(storage: Storage, password: string | undefined) {
    this.#storage = storage;
    this.#password = password;
  }

  /** All of an object. @throws {WalArchiveError} `absent`, `damaged`, `password`. */
  async read(name: WalFileName, objectName: string, options: ReadOptions, take: Take): Promise<Fetched> {
    const fetched = await this.#decode(name, objectName, options, take);
    const flaw = contentFlaw(name, fetched, options.segmentSizeBytes);
    if (flaw !== undefined) throw this.#damaged(objectName, flaw);
    return fetched;
  }

  /** The first {@link headBytes} of what an object decodes to. @throws {WalArchiveError} As above, as far as it was read. */
  async head(name: WalFileName, objectName: string, options: ReadOptions): Promise<Uint8Array> {
    const untilFull: Take = async (stream) => {
      let read = 0;
      for await (const chunk of stream) {
        read += chunk.byteLength;
        if (read >= headBytes) return;
      }
    };
    return (await this.#decode(name, objectName, options, untilFull)).head;
  }

  /** As much of an object as `take` reads. */
  async #decode(name: WalFileName, objectName: string, options: ReadOptions, take: Take): Promise<Fetched> {
    const { signal, mostBytes: mostWanted = Number.POSITIVE_INFINITY } = options;
    const password = this.#password;
    const head = new Head();
    const hash = createHash("sha256");
    let sizeBytes = 0;
    let storedBytes = 0;
    async function* watched(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of stream) {
        signal?.throwIfAborted();
        head.add(chunk);
        hash.update(chunk);
        sizeBytes += chunk.byteLength;
        yield chunk;
      }
    }
    try {
      const { stream, object } = await this.#storage.get(objectName, signal === undefined ? {} : { signal });
      storedBytes = object.sizeBytes;
      const limits = {
        maxBytes: Math.min(mostBytes(name), mostWanted),
        ...(password === undefined ? {} : { password }),
      };
      await take(watched(decode(stream, objectName, limits)));
    } catch (error) {
      if (error instanceof CodecError) {
        const damaged = this.#damaged(objectName, messageOf(error), { cause: error });
        if (error.kind !== "password") throw damaged;
        throw new WalArchiveError("password", `${damaged.message}; check encryption.passphrase`, { cause: error });
      }
      if (error instanceof StorageError && error.kind === "not-found")
        throw new WalArchiveError("absent", `There is no ${objectName} in ${this.#storage.description}`, {
          cause: error,
        });
      throw error;
    }
    return { objectName, storedBytes, sizeBytes, sha256: hash.digest("hex"), head: head.bytes };
  }

  #damaged(objectName: string, found: string, options?: ErrorOptions): WalArchiveError {
    return new WalArchiveError(
      "damaged",
      `Cannot use ${objectName} of ${this.#storage.description}: ${found}`,
      options,
    );
  }
}
