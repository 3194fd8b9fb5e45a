/** Keeps secrets out of texts that are printed. */

/** Shorter ones would blank out ordinary words, and protect nothing. */
const shortestSecret = 4;

/**
 * Replaces every occurrence of a secret by `[redacted]`: as it is, and as it stands in a URL (percent-encoded).
 * Secrets of fewer than four characters are left alone.
 */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const spellings = secrets
    .filter((secret) => secret.length >= shortestSecret)
    .flatMap((secret) => [secret, encodeURIComponent(secret.toWellFormed())]);
  if (spellings.length === 0) return (text) => text;
  // The longest first: one secret may be the beginning of another.
  const sorted = [...new Set(spellings)].sort((one, other) => other.length - one.length);
  const pattern = new RegExp(sorted.map((spelling) => RegExp.escape(spelling)).join("|"), "g");
  return (text) => text.replace(pattern, "[redacted]");
}
