/** The stream of a download: pulled, counted, and closed once, whatever happens. */
import type { ByteRange } from "./storage.ts";

export interface ChunkSource {
  /** The next bytes; undefined at the end. */
  readonly read: () => Promise<Uint8Array | undefined>;
  /** Called once: at the end, on an error, or when the reader is no longer interested. */
  readonly close: () => unknown;
}

/**
 * @param sizeBytes What must come.
 * @param shortened Makes the error for a source that ends before, or gives more.
 */
export function downloadStream(
  { read, close }: ChunkSource,
  sizeBytes: number,
  shortened: (receivedBytes: number) => Error,
): ReadableStream<Uint8Array> {
  let received = 0;
  let closed: Promise<unknown> | undefined;
  const closeOnce = () => (closed ??= Promise.resolve().then(close));
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const chunk = await read();
          if (chunk !== undefined) {
            received += chunk.byteLength;
            if (received > sizeBytes) throw shortened(received);
            controller.enqueue(chunk);
          }
          // Closed with the last byte, so that nobody has to ask for the end.
          if (chunk === undefined || received === sizeBytes) {
            if (received !== sizeBytes) throw shortened(received);
            await closeOnce();
            controller.close();
          }
        } catch (error) {
          await closeOnce().catch(() => {});
          controller.error(error);
        }
      },
      async cancel() {
        await closeOnce();
      },
    },
    { highWaterMark: 0 },
  );
}

/** The part of an object of `sizeBytes` that a range means. @throws {RangeError} It is no range. */
export function clampRange(range: ByteRange | undefined, sizeBytes: number): { start: number; end: number } {
  checkRange(range);
  const start = Math.min(range?.start ?? 0, sizeBytes);
  return { start, end: Math.max(start, Math.min(range?.end ?? sizeBytes, sizeBytes)) };
}

/** @throws {RangeError} Not whole, negative, or backwards. */
export function checkRange(range: ByteRange | undefined): void {
  if (range === undefined) return;
  const { start, end = start } = range;
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start) return;
  throw new RangeError(
    `Cannot read bytes ${start} to ${range.end}: expected whole numbers from 0, the end not before the start`,
  );
}
