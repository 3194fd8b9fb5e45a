/** What others could have written instead: anything at all, and above all what is nearly right. */
import fc from "fast-check";

/** Bytes of a sample with some replaced, taken out, put in, repeated or cut off; now and then any bytes. */
export function nearly(...samples: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  const at = fc.double({ min: 0, max: 1, noNaN: true });
  const few = fc.uint8Array({ minLength: 1, maxLength: 12 });
  const change = fc.record({
    at,
    bytes: few,
    how: fc.constantFrom("set", "insert", "remove", "cut", "repeat", "flip"),
  });
  const changed = fc
    .tuple(fc.constantFrom(...samples), fc.array(change, { minLength: 1, maxLength: 6 }))
    .map(([sample, changes]) => changes.reduce<Buffer>(applied, Buffer.from(sample)));
  return fc.oneof(
    { weight: 8, arbitrary: changed },
    fc.uint8Array({ maxLength: 400 }).map((bytes): Buffer => Buffer.from(bytes)),
  );
}

interface Change {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly how: string;
}

function applied(content: Buffer, { at, bytes, how }: Change): Buffer {
  const place = Math.floor(at * content.length);
  const [before, after] = [content.subarray(0, place), content.subarray(place)];
  switch (how) {
    case "insert":
      return Buffer.concat([before, bytes, after]);
    case "remove":
      return Buffer.concat([before, after.subarray(bytes.length)]);
    case "cut":
      return Buffer.from(before);
    case "repeat":
      return Buffer.concat([before, after.subarray(0, 64), after]);
    case "flip":
      return Buffer.concat([before, Buffer.from([(after[0] ?? 0) ^ (1 << ((bytes[0] ?? 0) & 7))]), after.subarray(1)]);
    default:
      return Buffer.concat([before, bytes, after.subarray(bytes.length)]);
  }
}

/** Whether what was thrown speaks of the input. A TypeError comes from code that took it for something else. */
export function isInWords(error: unknown): boolean {
  return error instanceof Error && !(error instanceof TypeError) && error.message.length > 5 && !isOfTheRuntime(error);
}

const isOfTheRuntime = ({ message }: Error) =>
  /is not (?:a function|iterable|an object|defined)|undefined is not|out of memory|call stack/i.test(message);

/** Does the work; false where it throws something that is not in words. */
export async function endsWell(work: () => unknown): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (isInWords(error)) return true;
    throw error;
  }
}
