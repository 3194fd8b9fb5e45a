/** Streams of bytes for tests. */
import { CodecError } from "../../../../../plugins/common/codec/errors.ts";

export async function* chunked(content: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The kind of the CodecError that this ends with; else what it ends with instead. */
export async function codecError(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return "no error";
  } catch (error) {
    return error instanceof CodecError ? error.kind : error;
  }
}

/** A source that tells how far it was read and whether it was closed. */
export function trackedSource(chunks: readonly Uint8Array[], failure?: Error) {
  const state = { given: 0, isClosed: false };
  const source: AsyncIterableIterator<Uint8Array> = {
    [Symbol.asyncIterator]: () => source,
    async next() {
      const value = chunks[state.given];
      if (value === undefined || state.isClosed) {
        state.isClosed = true;
        if (failure !== undefined) throw failure;
        return { done: true, value: undefined };
      }
      state.given++;
      return { done: false, value };
    },
    async return() {
      state.isClosed = true;
      return { done: true, value: undefined };
    },
  };
  return { source, state };
}
