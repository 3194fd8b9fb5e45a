/** Keeps secrets out of texts that are printed. */

/** Shorter ones would blank out ordinary words, and protect nothing. */
const shortestSecret = 4;

/** A line of a secret that gives something of it away: one of a private key has 64 characters. */
const shortestLine = 16;

/**
 * Replaces every occurrence of a secret by `[redacted]`: as it is, as it stands in a URL (percent-encoded) and in quotes (as JSON
 * escapes it); one of several lines also as a message on one line has it, and each long line of it; one that was cut at the end of
 * the text too, where sixteen characters or more of it are left.
 * Secrets of fewer than four characters are left alone.
 */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const spellings = secrets
    .filter((secret) => secret.length >= shortestSecret)
    .flatMap((secret) => [secret, ...onOneLine(secret)])
    .filter((text) => text.length >= shortestSecret)
    .flatMap((text) => [text, encodeURIComponent(text.toWellFormed()), JSON.stringify(text).slice(1, -1)]);
  if (spellings.length === 0) return (text) => text;
  // The longest first: one secret may be the beginning of another.
  const sorted = [...new Set(spellings)].sort((one, other) => other.length - one.length);
  // By how they begin: a bundle of certificates has thousands, too many to look for each, or for a regular expression of them all.
  const byStart = Map.groupBy(sorted, (spelling) => spelling.slice(0, shortestSecret));
  return (text) => {
    let shown = "";
    let seen = 0;
    for (let at = 0; at < text.length; at = Math.max(at + 1, seen)) {
      const candidates = byStart.get(text.slice(at, at + shortestSecret));
      const found = candidates?.find((spelling) => text.startsWith(spelling, at) || isCut(spelling, text, at));
      if (found === undefined) continue;
      shown += `${text.slice(seen, at)}[redacted]`;
      seen = at + found.length;
    }
    return shown + text.slice(seen);
  };
}

/** Whether the text ends in the middle of a spelling that begins there: long messages are cut before they come here. */
const isCut = (spelling: string, text: string, at: number): boolean =>
  text.length - at >= shortestLine && spelling.length > text.length - at && spelling.startsWith(text.slice(at));

/** What becomes of a secret of several lines in a message, which has one and may be cut. */
function onOneLine(secret: string): string[] {
  if (!secret.includes("\n")) return [];
  const lines = secret.split("\n").map((line) => line.trim());
  return [secret.replace(/\s*\n\s*/g, "; "), ...lines.filter((line) => line.length >= shortestLine)];
}
