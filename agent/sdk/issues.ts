/** What a zod schema found wrong, as plain data in plain words: it can leave a worker and meet the YAML's lines. */
import type { z } from "zod";
import { knownKeysAt, unionOptionsAt } from "./schema-keys.ts";

/** One thing wrong in a value. `message` says what would do (`expected a number, found text`) and never holds the value. */
export interface PlainIssue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** Keys at `path` that the schema does not have; one problem each. */
  readonly unknownKeys?: readonly string[];
  /** The keys that it has there. */
  readonly knownKeys?: readonly string[];
  /** The last step of `path` is a key that is itself wrong, not its value. */
  readonly isKey?: boolean;
}

type Issue = z.core.$ZodIssue;

/**
 * The issues of an error that `schema` gave, in its order. zod's own texts are put in the words of the YAML, a plugin
 * author's own are kept; of a union the branch that came nearest speaks.
 */
export function zodIssues(schema: z.core.$ZodType, error: { readonly issues: readonly Issue[] }): PlainIssue[] {
  return error.issues.flatMap((issue) => plainIssues(schema, issue, []));
}

function plainIssues(schema: z.core.$ZodType, issue: Issue, above: readonly PropertyKey[]): PlainIssue[] {
  const path = [...above, ...issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))];
  if (issue.code === "unrecognized_keys") {
    const unknownKeys = issue.keys.map(String);
    const message = `unknown key ${unknownKeys.map((key) => JSON.stringify(key)).join(", ")}`;
    return [{ path, message, unknownKeys, knownKeys: knownKeysAt(schema, issue.path) }];
  }
  if (!isZodsOwn(issue)) return [{ path, message: issue.message }];
  if (issue.code === "invalid_union" && issue.errors.length > 0) return closestBranch(schema, issue, path);
  if (issue.code === "invalid_key") {
    const [message] = issue.issues.flatMap((inner) => plainIssues(schema, inner, [])).map((inner) => inner.message);
    return [{ path, message: message ?? "expected another key", isKey: true }];
  }
  if (issue.code === "invalid_element") return issue.issues.flatMap((inner) => plainIssues(schema, inner, path));
  return [{ path, message: inWords(issue) }];
}

function closestBranch(
  schema: z.core.$ZodType,
  issue: Extract<Issue, { code: "invalid_union" }>,
  path: readonly PropertyKey[],
): PlainIssue[] {
  const options = unionOptionsAt(schema, issue.path);
  const branches = issue.errors.map((issues, index) => {
    const found = issues.flatMap((inner) => plainIssues(options[index] ?? schema, inner, path));
    const isOtherType = issues.some((inner) => inner.path.length === 0 && isTypeMismatch(inner));
    return { found, isOtherType };
  });
  const near = branches.filter((branch) => !branch.isOtherType).sort((a, b) => a.found.length - b.found.length);
  const [closest] = near;
  if (closest) return closest.found;
  const found = branches.flatMap((branch) => branch.found);
  const expected = new Set(found.map(({ message }) => message.replace(/^expected |, found .*$/g, "")));
  const received = found.map(({ message }) => /, found .*$/.exec(message)?.[0]).find((text) => text !== undefined);
  return [{ path, message: `expected ${[...expected].join(" or ")}${received ?? ""}` }];
}

function isTypeMismatch(issue: Issue): boolean {
  if (issue.code === "invalid_type" || issue.code === "invalid_value") return true;
  return issue.code === "invalid_union" && issue.errors.every((branch) => branch.some(isTypeMismatch));
}

/** Whether zod's English locale wrote the message: an author's own text is never replaced. */
function isZodsOwn(issue: Issue): boolean {
  return ownTexts[issue.code]?.test(issue.message) ?? false;
}

const ownTexts: Readonly<Record<string, RegExp>> = {
  invalid_type: /^Invalid input: expected .+, received /s,
  invalid_value: /^Invalid (?:input|option): expected /,
  too_big: /^Too big: expected /,
  too_small: /^Too small: expected /,
  invalid_format:
    /^Invalid (?:string: must |ISO |IPv|UUID|input$|email address$|[A-Z]+$|.*(?:string|range|address|number)$)/s,
  not_multiple_of: /^Invalid number: must be a multiple of /,
  invalid_key: /^Invalid key in /,
  invalid_element: /^Invalid value in /,
  invalid_union: /^Invalid (?:input|discriminator value)/,
  custom: /^Invalid input$/,
};

function inWords(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type": {
      const received = /received (\S+)$/.exec(issue.message)?.[1] ?? "";
      const isSame = issue.expected === "int" && received === "number";
      const found = received === "" || received === "undefined" || isSame ? "" : `, found ${typeInWords(received)}`;
      return `expected ${typeInWords(issue.expected)}${found}`;
    }
    case "invalid_value":
      return `expected ${oneOf(issue.values)}`;
    case "too_small":
    case "too_big":
      return `expected ${bound(issue)}`;
    case "invalid_format":
      return `expected ${formatInWords(issue)}`;
    case "not_multiple_of":
      return `expected a multiple of ${issue.divisor}`;
    case "invalid_union": {
      // Of a discriminated union whose discriminator has none of its values; zod leaves this out of its types.
      const { options = [] } = issue as { options?: readonly unknown[] };
      return options.length > 0 ? `expected ${oneOf(options)}` : "expected another value";
    }
    default:
      return "expected another value";
  }
}

function oneOf(values: readonly unknown[]): string {
  const texts = values.map((value) => (typeof value === "string" ? JSON.stringify(value) : String(value)));
  return texts.length > 1 ? `one of ${texts.join(", ")}` : (texts[0] ?? "nothing");
}

const typesInWords: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "a mapping",
  record: "a mapping",
  map: "a mapping",
  null: "nothing",
  undefined: "nothing",
  never: "nothing",
  nan: "a number",
};

function typeInWords(type: string): string {
  return typesInWords[type] ?? type;
}

const sizes: Readonly<Record<string, string>> = { string: "character", array: "item", set: "item", map: "entry" };

function bound(issue: Extract<Issue, { code: "too_small" | "too_big" }>): string {
  const isLeast = issue.code === "too_small";
  const limit = isLeast ? issue.minimum : issue.maximum;
  const unit = sizes[issue.origin];
  if (unit === "character" && isLeast && Number(limit) === 1) return "text that is not empty";
  const amount = unit === undefined ? String(limit) : `${limit} ${Number(limit) === 1 ? unit : plural(unit)}`;
  if (issue.exact) return `exactly ${amount}`;
  if (issue.inclusive) return `at ${isLeast ? "least" : "most"} ${amount}`;
  return `${isLeast ? "more" : "less"} than ${amount}`;
}

function plural(unit: string): string {
  return unit === "entry" ? "entries" : `${unit}s`;
}

const formats: Readonly<Record<string, string>> = {
  url: "a URL",
  email: "an e-mail address",
  ipv4: "an IPv4 address",
  ipv6: "an IPv6 address",
  cidrv4: "an IPv4 network such as 10.0.0.0/8",
  cidrv6: "an IPv6 network such as fd00::/8",
  datetime: "a date and time such as 2026-01-31T12:00:00Z",
  date: "a date such as 2026-01-31",
  time: "a time such as 12:00:00",
  uuid: "a UUID",
  base64: "base64",
  hostname: "a host name",
};

function formatInWords(issue: Extract<Issue, { code: "invalid_format" }>): string {
  const { format } = issue;
  const details = issue as { pattern?: string; prefix?: string; suffix?: string; includes?: string };
  if (format === "regex") return `text that matches ${details.pattern}`;
  if (format === "starts_with") return `text that begins with ${JSON.stringify(details.prefix)}`;
  if (format === "ends_with") return `text that ends with ${JSON.stringify(details.suffix)}`;
  if (format === "includes") return `text with ${JSON.stringify(details.includes)} in it`;
  return formats[format] ?? `text of the form ${format}`;
}
