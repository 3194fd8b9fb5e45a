/** Issues of a schema to problems: with the place in the file, the name of the key, and what was probably meant. */
import type { PlainIssue } from "../sdk/issues.ts";
import type { InstanceConfig, Problem } from "./config.ts";
import { withoutSecrets } from "./secrets.ts";
import { nearest } from "./suggestions.ts";
import { type Found, find, type WrittenEntry } from "./written.ts";

/** A part of the configuration as messages name it. */
export interface Subject {
  /** `plugins.walg`; empty for the file itself. */
  readonly name: string;
  readonly entry: WrittenEntry;
}

// By `place`, which copies of an instance share: an instance itself stays plain data that can be compared.
const subjects = new WeakMap<Located["place"], Subject>();

/** The configuration, or an instance of it. */
type Located = Pick<InstanceConfig, "place">;

/** Keeps what is written for {@link issuesToProblems} and its like. */
export function rememberSubject(place: Located["place"], subject: Subject): void {
  subjects.set(place, subject);
}

/** What somebody who used the value at a path found wrong with it. */
export function problemsWith({ place }: Located, path: readonly PropertyKey[], message: string): Problem[] {
  const subject = subjects.get(place);
  if (subject) return problemsOf(subject, [{ path, message }]);
  return [{ ...place(path), message: `Cannot read ${nameOf("", path)}: ${message}` }];
}

/** A text at a path as messages may show it: `${NAME}` where it came from a reference. */
export function shownAt({ place }: Located, path: readonly PropertyKey[], text: string): string {
  const subject = subjects.get(place);
  return (subject && find(subject.entry, path).written?.replaced?.spelling) ?? JSON.stringify(text);
}

/**
 * What a plugin's schema found wrong in an instance's `config:`.
 * @param issues Paths are relative to `config`.
 */
export function issuesToProblems(instance: InstanceConfig, issues: readonly PlainIssue[]): Problem[] {
  const below = issues.map((issue) => ({ ...issue, path: ["config", ...issue.path] }));
  const subject = subjects.get(instance.place);
  if (subject) return problemsOf(subject, below);
  return below.map(({ path, message }) => {
    const name = nameOf(`plugins.${instance.name}`, path);
    return { ...instance.place(path), message: `Cannot read ${name}: ${message}` };
  });
}

/**
 * The problems of a part of the configuration; `issues` have paths relative to it.
 * What follows from a reference without value is left out: that was reported already.
 * @param remedy What else could be meant by an unknown key that resembles none.
 */
export function problemsOf({ name, entry }: Subject, issues: readonly PlainIssue[], remedy = ""): Problem[] {
  return issues.flatMap((issue) => {
    const found = find(entry, issue.path);
    if (found.failed) return [];
    const subject = nameOf(name, issue.path);
    const message = withoutSecrets(issue.message, entry.written, found.written);
    if (issue.unknownKeys) {
      return issue.unknownKeys.map((key) => ({
        ...(found.written?.children.get(key)?.key ?? found.place),
        message: `Cannot read ${subject || "the configuration"}: ${unknownKey(key, issue.knownKeys ?? [], remedy)}`,
      }));
    }
    if (issue.isKey) {
      const parent = issue.path.slice(0, -1);
      const key = String(issue.path.at(-1));
      const place = find(entry, parent).written?.children.get(key)?.key ?? found.place;
      return [
        { ...place, message: `Cannot use the key ${JSON.stringify(key)} in ${nameOf(name, parent)}: ${message}` },
      ];
    }
    return [{ ...found.place, message: sentence(subject || "the configuration", message, found) }];
  });
}

function unknownKey(key: string, known: readonly string[], remedy: string): string {
  const suggestion = nearest(key, known);
  const found = `unknown key ${JSON.stringify(key)}`;
  if (suggestion !== undefined) return `${found}, did you mean ${JSON.stringify(suggestion)}?`;
  return known.length > 0 ? `${found}, expected one of ${known.join(", ")}${remedy}` : found;
}

function sentence(subject: string, message: string, { written }: Found): string {
  if (!written && message.startsWith("expected ")) return `Cannot find ${subject}: ${message}`;
  const shown = written === undefined ? undefined : shownValue(subject, written);
  return `Cannot read ${subject}${shown === undefined ? "" : ` ${shown}`}: ${message}${hint(subject, message, written)}`;
}

/** What helps somebody whose text became a number. */
function hint(subject: string, message: string, written: Found["written"]): string {
  if (!message.startsWith("expected text") || !["number", "boolean"].includes(typeof written?.value)) return "";
  if (!written?.replaced && isSensitive(subject)) return ", quote it";
  return `, quote it: "${written?.replaced?.spelling ?? String(written?.value)}"`;
}

const longestShown = 80;
const sensitive = /pass(?:word|wd|phrase)?|secret|token|credential|(?:api|access|private)_?key/i;
/** A URL with a user's password in it, or a list of `password=…`, misspelled or not. */
const holdsSecret = /:\/\/[^/?#]*:.*@|(?:pass\w*|pwd|secret|token)\s*=/is;

const isSensitive = (subject: string): boolean => sensitive.test(subject.slice(subject.lastIndexOf(".") + 1));

/** A scalar as a message shows it; undefined where nothing is worth showing or nothing may be shown. */
function shownValue(subject: string, { value, replaced }: NonNullable<Found["written"]>): string | undefined {
  if (replaced)
    return replaced.values.length === 1 && isAlone(replaced.spelling) ? replaced.spelling : quoted(replaced.spelling);
  if (isSensitive(subject)) return undefined;
  if (typeof value === "string") return holdsSecret.test(value) ? undefined : quoted(value);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

function isAlone(spelling: string): boolean {
  return /^\$\{[^}]*\}$/.test(spelling);
}

function quoted(text: string): string {
  return JSON.stringify(text.length > longestShown ? `${text.slice(0, longestShown)}…` : text);
}

/** `plugins.walg.config.servers[0].name`. */
export function nameOf(start: string, path: readonly PropertyKey[]): string {
  let name = start;
  for (const step of path) {
    const key = String(step);
    if (typeof step === "number") name += `[${key}]`;
    else if (!/^[\w-]+$/.test(key)) name += `[${JSON.stringify(key)}]`;
    else name += name === "" ? key : `.${key}`;
  }
  return name;
}
