/** Durations, sizes and addresses as the configuration spells them: one parser each, for the agent and for plugins. */
import { z } from "zod";

const secondsPerUnit = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const;
const durationText = /^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/;
const durationPart = /(\d+(?:\.\d+)?)(ms|[smhdw])/g;

/** Seconds in a text such as `90s`, `1h30m`, `250ms`, `7d`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (!durationText.test(text)) return text === "0" ? 0 : undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(durationPart)) {
    seconds += Number(amount) * secondsPerUnit[unit as keyof typeof secondsPerUnit];
  }
  return Number.isFinite(seconds) ? seconds : undefined;
}

const bytesPerUnit: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** Bytes in a text such as `16MiB`, `1GB`, `512`; undefined when it is none, or no whole number of bytes. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,30}(?:\.\d{1,30})?) ?([kKMGT]?i?B|)$/.exec(text);
  const unit = bytesPerUnit[match?.[2] ?? "?"];
  if (!match || unit === undefined) return undefined;
  const [whole = "", fraction = ""] = (match[1] ?? "").split(".");
  // As whole numbers: 8.2 * 1e12 is no integer.
  const scaled = BigInt(whole + fraction) * BigInt(unit);
  const scale = 10n ** BigInt(fraction.length);
  const bytes = Number(scaled / scale);
  return scaled % scale === 0n && Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** Where to listen. `host` is empty for all interfaces; `port` 0 is a free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** An address such as `127.0.0.1:9847`, `[::1]:9847`, `:9351`, `localhost:80`; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  return match && port <= 65_535 ? { host: match[1] ?? match[2] ?? "", port } : undefined;
}

/** The text of an address, as {@link parseAddress} reads it. */
export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** A string that `parse` turns into a value; the message of a failure says what would do. */
function unit<T>(parse: (text: string) => T | undefined, expected: string) {
  return z.union([z.string(), z.number()], { error: `expected ${expected}` }).transform((input, context) => {
    const value = parse(String(input));
    if (value === undefined) context.addIssue({ code: "custom", message: `expected ${expected}` });
    return value ?? z.NEVER;
  });
}

/** Configuration: a duration such as `30s`; the value is in seconds. */
export const duration = () => unit(parseDuration, 'a duration such as "30s" or "1h30m"');
/** Configuration: a size such as `16MiB`; the value is in bytes. */
export const size = () => unit(parseSize, 'a size such as "16MiB" or "1GB"');
/** Configuration: an address such as `127.0.0.1:9847` or `:9351`. */
export const address = () => unit(parseAddress, 'an address such as "127.0.0.1:9847" or ":9351"');
