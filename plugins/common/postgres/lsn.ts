/** Log sequence numbers: positions in PostgreSQL's WAL, kept as BigInt because a float is exact only below 200000/0. */

/** Most a log sequence number can be. */
export const maxLsn = 2n ** 64n - 1n;

const half = /^[0-9A-Fa-f]{1,8}$/;

/** The position in a text such as `0/1A2B3C4D`; undefined when it is none. Source: PostgreSQL, `pg_lsn_in_internal`. */
export function parseLsn(text: string): bigint | undefined {
  const [high = "", low = "", ...rest] = text.split("/");
  if (rest.length > 0 || !half.test(high) || !half.test(low)) return undefined;
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** The text of a position as PostgreSQL prints it: upper-case hexadecimal halves without leading zeros. */
export function formatLsn(lsn: bigint): string {
  const high = (lsn >> 32n).toString(16);
  const low = (lsn & 0xffff_ffffn).toString(16);
  return `${high}/${low}`.toUpperCase();
}
