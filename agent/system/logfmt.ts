/** One log line in logfmt or JSON. */
import type { LogFields, LogLevel } from "../sdk/index.ts";

export type LogFormat = "logfmt" | "json";

export interface LogRecord {
  /** Unix milliseconds. */
  readonly at: number;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

/** A longer text is cut: journald splits lines at 48 KiB. */
const maxTextLength = 8_192;
const reservedNames = new Set(["ts", "level", "msg"]);

/** The record as one line, newline included: RFC 3339 UTC time in milliseconds, level, message, then the fields in order. */
export function formatRecord(record: LogRecord, format: LogFormat): string {
  const pairs: [string, string | number | boolean][] = [
    ["ts", new Date(record.at).toISOString()],
    ["level", record.level],
    ["msg", plainText(record.message)],
  ];
  for (const [name, value] of Object.entries(record.fields)) {
    if (value !== undefined) pairs.push([fieldName(name), fieldValue(name, value)]);
  }
  if (format === "json") return `${JSON.stringify(Object.fromEntries(pairs))}\n`;
  return `${pairs.map(([name, value]) => `${name}=${quoted(String(value))}`).join(" ")}\n`;
}

/** Times are told to the millisecond. */
function fieldValue(name: string, value: string | number | boolean): string | number | boolean {
  if (typeof value === "string") return plainText(value);
  if (typeof value !== "number") return value;
  // JSON has no word for these.
  if (!Number.isFinite(value)) return String(value);
  return name.endsWith("_seconds") ? Number(value.toFixed(3)) : value;
}

/** A name that needs no quoting; one that the line has already is set apart. */
function fieldName(name: string): string {
  const safe = name.toWellFormed().replace(/[\p{C}\p{Z}="\\]/gu, "_") || "_";
  return reservedNames.has(safe) ? `field_${safe}` : safe;
}

function plainText(text: string): string {
  if (text.length <= maxTextLength) return text.toWellFormed();
  return `${text.slice(0, maxTextLength).toWellFormed()}… (${text.length - maxTextLength} more characters)`;
}

/** Control characters never reach a terminal as they are: a plugin's text could move its cursor. */
const needsQuotes = /[\p{C}\p{Z}="\\\ufffd]/u;
const needsEscape = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}"\\]/gu;
const shortEscapes: Readonly<Record<string, string>> = {
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  '"': '\\"',
  "\\": "\\\\",
};

/** A value as go-logfmt reads it: bare, or in JSON's quotes and escapes. */
function quoted(value: string): string {
  if (value !== "" && !needsQuotes.test(value)) return value;
  return `"${value.replace(needsEscape, (character) => shortEscapes[character] ?? unicodeEscape(character))}"`;
}

function unicodeEscape(character: string): string {
  let escaped = "";
  for (let index = 0; index < character.length; index++) {
    escaped += `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
  }
  return escaped;
}
