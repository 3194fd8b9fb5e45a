/** Names of TSDB blocks. Source: https://github.com/ulid/spec, as oklog/ulid reads it. */

const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** 26 digits of 5 bits hold 130: the first digit is at most 7. */
const ulid = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

export function isUlid(text: string): boolean {
  return ulid.test(text);
}

/** The moment in a ULID, Unix milliseconds. */
export function ulidTimeMs(text: string): number {
  let time = 0;
  for (const digit of text.slice(0, 10)) time = time * 32 + alphabet.indexOf(digit);
  return time;
}
