/** Fields of Barman's answers, read leniently: one that does not fit counts as absent and spoils no other. */
import { z } from "holdfast";

/** Texts that are a number: `"1795245520"` (Barman's timestamps), `"4664618.5"`. */
const numberText = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** A finite number, or the text of one. */
export const number = z
  .union([z.number(), z.string().regex(numberText).transform(Number)])
  .refine(Number.isFinite)
  .optional()
  .catch(undefined);

/** A finite number that is not below 0, or the text of one. */
export const amount = number.transform((value) => (value !== undefined && value >= 0 ? value : undefined));

export const text = z.string().optional().catch(undefined);
export const flag = z.boolean().optional().catch(undefined);

const isoTime = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d+)?(?:(Z)|([+-])(\d\d):?(\d\d)(?::(\d\d))?)$/;

/**
 * Unix seconds of a time such as `2026-11-21 07:12:56.560814+00:00`; undefined when it is none or has no offset.
 * The fraction is kept.
 */
export function parseIsoTime(input: string): number | undefined {
  const match = isoTime.exec(input);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "0", , sign, hours = 0, minutes = 0, seconds = 0] = match;
  const local = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  const offset = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return local / 1000 - (sign === "-" ? -offset : offset) + Number(fraction);
}

/** A time with offset as Unix seconds. */
export const isoTimeField = text.transform((value) => (value === undefined ? undefined : parseIsoTime(value)));

const backupId = /^([1-9]\d{3})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])([0-5]\d)([0-5]\d)$/;

/**
 * Unix seconds at which a backup began, read from its id (`20261121T071840`): the wall clock of the process that took
 * it, taken to be in this process's time zone. Undefined when the id is no date.
 */
export function beginOfBackup(id: string): number | undefined {
  const match = backupId.exec(id);
  if (!match) return undefined;
  const [year = 0, month = 0, day = 0, hour, minute, second] = match.slice(1).map(Number);
  return new Date(year, month - 1, day, hour, minute, second).getTime() / 1000;
}
