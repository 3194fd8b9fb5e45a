/** References in a text of the configuration: how they are spelled, and what stands behind them. */
import { resolve } from "node:path";
import { readUpTo } from "./read-file.ts";

export interface Reference {
  readonly kind: "environment" | "file" | "credential";
  /** The variable, the path or the credential. */
  readonly name: string;
  /** Stands in for a variable that is unset or empty. */
  readonly fallback: string | undefined;
  /** How a message shows it: `${NAME}`, without a default. */
  readonly spelling: string;
}

/** A piece of a text: as it stands, something to replace, or a `${` that begins none of the known forms. */
export type Part = string | Reference | { readonly kind: "malformed"; readonly spelling: string };

const marks = /\$\$\{|\$\{([^}]*)\}|\$\{/g;
const variable = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

/** The pieces of a text in order. `$${` is a literal `${`. */
export function parseReferences(text: string): Part[] {
  const parts: Part[] = [];
  let literal = "";
  let end = 0;
  for (const match of text.matchAll(marks)) {
    literal += text.slice(end, match.index);
    end = match.index + match[0].length;
    if (match[0] === "$${") {
      literal += "${";
      continue;
    }
    if (literal !== "") parts.push(literal);
    literal = "";
    parts.push(match[1] === undefined ? { kind: "malformed", spelling: match[0] } : reference(match[1]));
  }
  literal += text.slice(end);
  if (literal !== "") parts.push(literal);
  return parts;
}

function reference(inside: string): Exclude<Part, string> {
  const [, name, fallback] = variable.exec(inside) ?? [];
  const malformed = { kind: "malformed", spelling: `\${${inside.slice(0, 40)}}` } as const;
  // A default ends at the first brace, so a reference within would lose its own.
  if (fallback?.includes("${")) return malformed;
  if (name !== undefined) return { kind: "environment", name, fallback, spelling: `\${${name}}` };
  const colon = inside.indexOf(":");
  const kind = inside.slice(0, Math.max(colon, 0));
  const rest = inside.slice(colon + 1);
  if (rest === "" || rest.includes("\0")) return malformed;
  const spelling = `\${${inside}}`;
  if (kind === "file") return { kind, name: rest, fallback: undefined, spelling };
  if (kind !== "credential" || rest.includes("/") || rest === "." || rest === "..") return malformed;
  return { kind, name: rest, fallback: undefined, spelling };
}

/** Where values come from. */
export interface ReferenceSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Relative paths of `${file:…}` start here. */
  readonly folder: string;
}

/** The text behind a reference, or what is in the way. */
export type Resolved = { readonly value: string } | { readonly missing: string };

/** The text behind a reference. One newline at the end of a file is dropped. */
export async function resolveReference(
  { kind, name, fallback }: Reference,
  { environment, folder }: ReferenceSources,
): Promise<Resolved> {
  if (kind === "environment") {
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value !== undefined && (value !== "" || fallback === undefined)) return { value };
    if (fallback !== undefined) return { value: fallback };
    return { missing: `the environment has no ${name}, set it or give a default as in \${${name}:-default}` };
  }
  if (kind === "file") return readSecret(resolve(folder, name));
  const credentials = environment.CREDENTIALS_DIRECTORY;
  if (!credentials) {
    return { missing: `CREDENTIALS_DIRECTORY is not set, expected LoadCredential=${name}:PATH in the service's unit` };
  }
  return readSecret(resolve(credentials, name));
}

/** No password or certificate bundle is larger. */
const maxSecretBytes = 2 ** 20;

async function readSecret(path: string): Promise<Resolved> {
  const read = await readUpTo(path, maxSecretBytes);
  if ("problem" in read) return { missing: `${path}: ${read.problem}` };
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(read.bytes);
    return { value: text.replace(/\r?\n$/, "") };
  } catch {
    return { missing: `${path}: bytes that are not UTF-8` };
  }
}
