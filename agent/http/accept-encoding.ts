/**
 * Whether a client prefers gzip to an uncompressed answer.
 * @param header `Accept-Encoding`, with or without q-values; undefined when there is none.
 * Source: RFC 9110, 12.5.3.
 */
export function prefersGzip(header: string | undefined): boolean {
  if (header === undefined) return false;
  const weights = new Map<string, number>();
  for (const part of header.split(",")) {
    const [coding = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    if (coding === "") continue;
    weights.set(coding === "x-gzip" ? "gzip" : coding, weightOf(parameters));
  }
  const gzip = weights.get("gzip") ?? weights.get("*") ?? 0;
  return gzip > 0 && gzip >= (weights.get("identity") ?? 0);
}

/** A weight that cannot be read is 0: an uncompressed answer is right for everybody. */
function weightOf(parameters: readonly string[]): number {
  const q = parameters.find((parameter) => parameter.startsWith("q="));
  if (q === undefined) return 1;
  return /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(q) ? Number(q.slice(2)) : 0;
}
