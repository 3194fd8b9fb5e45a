/** The `Range` header of a request. Source: RFC 9110, 14. */

/** Bytes `[from, to)`. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The range that is asked for. Undefined: the whole, since nothing was asked, several ranges were, or what was asked cannot be
 * read; a server may always answer so. `unsatisfiable`: nothing of the whole is in it.
 */
export function parseRange(header: string | null, sizeBytes: number): ByteRange | undefined | "unsatisfiable" {
  const match = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? "");
  if (!match) return undefined;
  const [first = "", last = ""] = match.slice(1);
  if (first === "") {
    if (last === "") return undefined;
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? "unsatisfiable" : { from: sizeBytes - length, to: sizeBytes };
  }
  const from = Number(first);
  const to = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== "" && Number(last) < from) return undefined;
  return from >= sizeBytes ? "unsatisfiable" : { from, to };
}
