/** Streams of bytes cut anew. */

export type ByteSource = AsyncIterable<Uint8Array>;

/** The same bytes in pieces of `pieceBytes`, the last one shorter; the first one of `firstBytes`. No piece is empty. */
export async function* inPieces(
  source: ByteSource,
  pieceBytes: number,
  firstBytes = pieceBytes,
): AsyncGenerator<Uint8Array> {
  let wanted = firstBytes;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (let chunk of source) {
    while (pendingBytes + chunk.byteLength >= wanted) {
      const taken = wanted - pendingBytes;
      pending.push(chunk.subarray(0, taken));
      chunk = chunk.subarray(taken);
      const piece = pending.length === 1 && pending[0] ? pending[0] : Buffer.concat(pending);
      pending = [];
      pendingBytes = 0;
      wanted = pieceBytes;
      yield piece;
    }
    if (chunk.byteLength > 0) {
      pending.push(chunk);
      pendingBytes += chunk.byteLength;
    }
  }
  if (pendingBytes > 0) yield Buffer.concat(pending);
}
