/** The body of a download: an archive on its way, its digest, and the truth about how it ended. */
import { leavesGarbage } from "../common/system/garbage.ts";
import { EntryError, reasonOf } from "./snapshot-entries.ts";

export interface BodyEnd {
  /** All was read and right. Called before the last bytes leave: whoever has them all can ask for the outcome. */
  succeeded(sha256Hex: string): void;
  failed(errorText: string): void;
  /** The client went away, or took nothing for too long. */
  aborted(errorText: string): void;
  /** That many more bytes were handed on, or are about to be; all of them before a success. */
  sent(bytes: number): void;
}

export interface BodyOptions {
  /** What kept entries out of the archive: the body then ends broken, for it is not whole. */
  readonly problems: readonly string[];
  /** The digest of these very bytes, where it is known; else it is computed on the way, which takes half of the time. */
  readonly knownSha256Hex?: string | undefined;
  /** Time without a byte taken, after which the client is given up. */
  readonly stallMs: number;
  /** Aborted when the instance stops. */
  readonly signal?: AbortSignal | undefined;
}

/** Time that the last bytes of a broken body have to leave. */
const leaveMs = 100;

/** A stream that breaks, instead of ending, when the archive is not whole. The last chunk is held back until that is known. */
export function downloadBody(
  archive: AsyncGenerator<Uint8Array>,
  end: BodyEnd,
  { problems, knownSha256Hex, stallMs, signal }: BodyOptions,
): ReadableStream<Uint8Array> {
  const hash = knownSha256Hex === undefined ? new Bun.CryptoHasher("sha256") : undefined;
  let held: Uint8Array | undefined;
  let timer: Timer | undefined;
  let isOver = false;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  const close = (): void => {
    isOver = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", onStop);
    // Lets go of the file that is open.
    void archive.return(undefined).catch(() => {});
  };
  const giveUp = (reason: string): void => {
    if (isOver) return;
    end.aborted(reason);
    close();
    controller?.error(broken(reason));
  };
  const onStop = () => giveUp("the server was stopped");

  /** The next chunk that is not the last; undefined at the end. */
  const advance = async (): Promise<Uint8Array | undefined> => {
    for (;;) {
      const { done, value } = await archive.next();
      if (done) return undefined;
      if (value.length === 0) continue;
      hash?.update(value);
      if (held === undefined) {
        // The headers, with the download's id, must leave even where this chunk is the only one and a problem follows.
        held = value.subarray(value.length - 1);
        if (value.length > 1) return value.subarray(0, -1);
        continue;
      }
      const before = held;
      held = value;
      return before;
    }
  };

  return new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
        // A client that left before the answer began asks for nothing, and its leaving is not told.
        timer = setTimeout(() => giveUp(`the client took nothing for ${stallMs / 1000} s`), stallMs);
        if (signal?.aborted) onStop();
        else signal?.addEventListener("abort", onStop, { once: true });
      },
      async pull(given) {
        clearTimeout(timer);
        try {
          const chunk = await advance();
          if (isOver) return;
          if (chunk) {
            given.enqueue(chunk);
            end.sent(chunk.length);
            leavesGarbage(chunk.length);
            timer = setTimeout(() => giveUp(`the client took nothing for ${stallMs / 1000} s`), stallMs);
            return;
          }
          if (problems.length > 0) throw new EntryError(problems.join("; "));
          end.sent(held?.length ?? 0);
          end.succeeded(hash?.digest("hex") ?? knownSha256Hex ?? "");
          if (held) given.enqueue(held);
          close();
          given.close();
        } catch (error) {
          if (isOver) return;
          const found = failure(problems, error);
          end.failed(found);
          close();
          // Else Bun drops what it was given last, and in a small archive that is everything: headers, and the download's id.
          await Bun.sleep(leaveMs);
          given.error(broken(found));
        }
      },
      cancel() {
        if (isOver) return;
        end.aborted("the client went away");
        close();
      },
    },
    { highWaterMark: 0 },
  );
}

/** What kept an archive from being whole, each once. */
export function failure(problems: readonly string[], error: unknown): string {
  const found = error instanceof EntryError ? error.message : reasonOf(error);
  return [...new Set([...problems, ...found.split("; ")])].join("; ");
}

const broken = (reason: string) => new DOMException(reason, "AbortError");
