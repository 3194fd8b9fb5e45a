/** Ranges of bytes as HTTP has them. Source: RFC 9110, 14.1.2. */

export interface HttpRange {
  readonly start: number;
  /** Left out. */
  readonly end: number;
}

/**
 * @param header `bytes=0-99`, `bytes=100-` or `bytes=-100`. Several ranges at once, or what makes no sense, mean the whole.
 * @returns Undefined: the whole.
 */
export function rangeOf(header: string | undefined, sizeBytes: number): HttpRange | "unsatisfiable" | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? "unsatisfiable" : { start: sizeBytes - length, end: sizeBytes };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return undefined;
  if (start >= sizeBytes) return "unsatisfiable";
  return { start, end: last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) };
}
