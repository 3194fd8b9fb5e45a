/** A download that goes from the files to the client's connection, without passing through this process. */
import { ClientGoneError, type DirectClient } from "holdfast";
import type { FileStretch, TarPiece } from "../common/archive/tar-stream.ts";
import { leavesGarbage } from "../common/system/garbage.ts";
import { type BodyEnd, type BodyOptions, failure } from "./download-body.ts";
import { EntryError, readAt, reasonOf, shrunk } from "./snapshot-entries.ts";

/** So much of a file is hashed, then sent, while it is in the processor's cache. All downloads share the buffer: nothing is waited for between. */
const step = Buffer.allocUnsafeSlow(512 * 1024);

/** Of what a compressor made: it takes so long that collecting often costs little. Measured: 35 MB above idle for twenty downloads, not 59. */
const mostGarbageBytes = 2 * 2 ** 20;

/**
 * Sends an archive. The last piece is held back until it is known to be whole. Without a length told before, no piece may be a stretch.
 * @throws The client has left, or the archive is not whole; `end` was told.
 */
export async function sendDirectly(
  client: DirectClient,
  archive: AsyncGenerator<TarPiece>,
  end: BodyEnd,
  { problems, knownSha256Hex }: Pick<BodyOptions, "problems" | "knownSha256Hex">,
): Promise<void> {
  const hash = knownSha256Hex === undefined ? new Bun.CryptoHasher("sha256") : undefined;
  const put = async (bytes: Uint8Array): Promise<void> => {
    await client.write(bytes);
    end.sent(bytes.length);
  };
  let held: Uint8Array | undefined;
  let isTold = false;
  try {
    for await (const piece of archive) {
      if (held) await put(held);
      held = undefined;
      if (piece instanceof Uint8Array) {
        hash?.update(piece);
        leavesGarbage(piece.length, mostGarbageBytes);
        held = piece;
      } else await sendStretch(client, piece, hash, (bytes) => end.sent(bytes));
    }
    if (problems.length > 0) throw new EntryError(problems.join("; "));
    if (held && held.length > 1) {
      // All but a byte: a client that has left shows before anything is called a success.
      await put(held.subarray(0, -1));
      held = held.subarray(-1);
    }
    end.sent(held?.length ?? 0);
    end.succeeded(hash?.digest("hex") ?? knownSha256Hex ?? "");
    isTold = true;
    if (held) await client.write(held);
  } catch (error) {
    if (isTold) throw error;
    if (error instanceof ClientGoneError) end.aborted(error.message);
    else end.failed(failure(problems, error));
    throw error;
  }
}

async function sendStretch(
  client: DirectClient,
  { fd, position, sizeBytes, path }: FileStretch,
  hash: Bun.CryptoHasher | undefined,
  onSent: (bytes: number) => void,
): Promise<void> {
  for (let done = 0; done < sizeBytes; ) {
    const at = position + done;
    let size = sizeBytes - done;
    if (hash) {
      size = readAt(fd, step.subarray(0, Math.min(size, step.length)), at, path);
      hash.update(step.subarray(0, size));
    }
    const sent = await client.sendFile(fd, at, size, onSent).catch((error: unknown) => {
      if (error instanceof ClientGoneError) throw error;
      throw new EntryError(`read ${path}: ${reasonOf(error)}`, { cause: error });
    });
    if (sent < size || size === 0) throw shrunk(path, at + sent);
    done += sent;
  }
}
