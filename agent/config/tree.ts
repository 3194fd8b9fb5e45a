/** A YAML document to {@link Written}: aliases, merge keys and references replaced, places kept. */
import {
  type Alias,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  visit,
  type YAMLMap,
} from "yaml";
import type { Place, Problem } from "./config.ts";
import { type Part, parseReferences, type Reference, type Resolved } from "./references.ts";
import { objectOf, type Replaced, type Written, type WrittenEntry } from "./written.ts";
import type { YamlFile } from "./yaml-file.ts";

/** More values than any configuration has; aliases of aliases reach it in nine lines. */
const maxSize = 100_000;
/** Deeper than any configuration; below what the stack of a schema bears. */
const maxDepth = 100;

/** The references in the values of a document, keys left out. */
export function referencesIn({ document }: YamlFile): Reference[] {
  const references: Reference[] = [];
  visit(document, {
    Scalar(key, { value }) {
      if (key === "key" || typeof value !== "string") return;
      for (const part of parseReferences(value)) {
        if (typeof part !== "string" && part.kind !== "malformed") references.push(part);
      }
    },
  });
  return references;
}

/**
 * Reads a document's values. `resolve` gives the value of each reference of {@link referencesIn}.
 * Every key that stands twice, unknown alias, bad merge and reference without value is told to `report`, and left out.
 */
export function writtenIn(
  yaml: YamlFile,
  resolve: (reference: Reference) => Resolved,
  report: (problem: Problem) => void,
): Written {
  const written = new Reader(yaml, resolve, report).node(yaml.document.contents, yaml.placeAt(0), 0);
  const { size, height, place } = written;
  if (size <= maxSize && height <= maxDepth) return written;
  const found = size > maxSize ? `more than ${maxSize} values` : `it is nested more than ${maxDepth} deep`;
  report({ ...place, message: `Cannot read the YAML: ${found}, aliases counted each time` });
  return scalar(null, place, true);
}

class Reader {
  readonly #yaml: YamlFile;
  readonly #resolve: (reference: Reference) => Resolved;
  readonly #report: (problem: Problem) => void;
  readonly #anchors = new Map<string, Node>();
  /** Undefined while a node is being read: an alias to it would never end. */
  readonly #read = new Map<Node, Written | undefined>();

  constructor(yaml: YamlFile, resolve: (reference: Reference) => Resolved, report: (problem: Problem) => void) {
    this.#yaml = yaml;
    this.#resolve = resolve;
    this.#report = report;
  }

  node(node: unknown, parent: Place, depth: number): Written {
    if (isAlias(node)) return this.#alias(node);
    if (!isScalar(node) && !isMap(node) && !isSeq(node)) return scalar(null, parent, true);
    const place = this.#placeOf(node, parent);
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (depth > maxDepth) {
      this.#report({ ...place, message: `Cannot read the YAML: it is nested more than ${maxDepth} deep` });
      return scalar(null, place, true);
    }
    this.#read.set(node, undefined);
    const written = isScalar(node) ? this.#scalar(node, place) : this.#collection(node, place, depth);
    this.#read.set(node, written);
    return written;
  }

  #collection(node: Node, place: Place, depth: number): Written {
    if (isMap(node)) {
      const children = this.#entries(node, place, depth);
      return collection(objectOf(children), place, !node.flow, children);
    }
    const items = isSeq(node) ? node.items : [];
    const children = new Map<string, WrittenEntry>();
    for (const [index, item] of items.entries()) {
      const written = this.node(item, place, depth + 1);
      children.set(String(index), { key: written.place, written });
    }
    const value = [...children.values()].map(({ written }) => written.value);
    return collection(value, place, !(isSeq(node) && node.flow), children);
  }

  #entries(map: YAMLMap, place: Place, depth: number): Map<string, WrittenEntry> {
    const own = new Map<string, WrittenEntry>();
    const merged = new Map<string, WrittenEntry>();
    for (const pair of map.items) {
      const keyPlace = this.#placeOf(pair.key, place);
      if (isMergeKey(pair)) {
        for (const [key, entry] of this.#merged(pair.value, keyPlace, depth)) {
          if (!merged.has(key)) merged.set(key, entry);
        }
        continue;
      }
      const key = this.#key(pair.key, keyPlace);
      const written = this.node(pair.value, keyPlace, depth + 1);
      if (key === undefined) continue;
      const first = own.get(key);
      if (first) {
        const message = `Cannot take the key ${JSON.stringify(key)} twice: the first is in line ${first.key.line}`;
        this.#report({ ...keyPlace, message });
      } else own.set(key, { key: keyPlace, written });
    }
    for (const [key, entry] of merged) if (!own.has(key)) own.set(key, entry);
    return own;
  }

  /** The entries that a `<<` brings: of a mapping, or of a list of mappings, the earlier first. */
  #merged(value: unknown, place: Place, depth: number): (readonly [string, WrittenEntry])[] {
    const written = this.node(value, place, depth + 1);
    const maps = Array.isArray(written.value) ? [...written.children.values()].map((item) => item.written) : [written];
    if (maps.every((map) => isMapping(map.value))) return maps.flatMap((map) => [...map.children]);
    this.#report({ ...place, message: 'Cannot merge what stands at "<<": expected a mapping or a list of mappings' });
    return [];
  }

  #key(node: unknown, place: Place): string | undefined {
    const resolved = isAlias(node) ? this.#anchors.get(node.source) : node;
    if (!isScalar(resolved)) {
      this.#report({ ...place, message: "Cannot read a key: found a list or mapping, expected text" });
      return undefined;
    }
    const key = typeof resolved.value === "string" ? resolved.value : (resolved.source ?? String(resolved.value));
    const hasReference = parseReferences(key).some((part) => typeof part !== "string");
    if (key === "__proto__" || hasReference) {
      const why = hasReference ? "references are replaced in values only, write $${ for a literal ${" : "no such key";
      this.#report({ ...place, message: `Cannot use the key ${JSON.stringify(key)}: ${why}` });
      return undefined;
    }
    return key.replaceAll("$${", "${");
  }

  #alias(alias: Alias): Written {
    const place = this.#placeOf(alias, this.#yaml.placeAt(0));
    const target = this.#anchors.get(alias.source);
    const written = target && this.#read.get(target);
    if (written) return written;
    const why = target ? "it stands inside what it names" : "no anchor of that name before it";
    this.#report({ ...place, message: `Cannot follow the alias "*${alias.source}": ${why}` });
    return failed(place, `*${alias.source}`);
  }

  #scalar(node: Scalar, place: Place): Written {
    const { value } = node;
    if (typeof value !== "string") {
      // Empty: nothing is written, so the message belongs to the key.
      return scalar(value, place, value === null && node.source === "");
    }
    const parts = parseReferences(value);
    if (parts.every((part) => typeof part === "string")) return scalar(parts.join(""), place, false);
    const { text, replaced } = this.#replace(parts, place);
    const plain = node.type === "PLAIN" && node.tag === undefined && parts.length === 1;
    const typed = plain && isVariable(parts[0]) ? typedValue(text) : undefined;
    return {
      ...scalar(typed ?? text, place, false),
      replaced: { ...replaced, typed: typed !== undefined },
    };
  }

  #replace(parts: readonly Part[], place: Place): { text: string; replaced: Omit<Replaced, "typed"> } {
    let text = "";
    let spelling = "";
    let failed = false;
    const values: { text: string; spelling: string }[] = [];
    for (const part of parts) {
      spelling += typeof part === "string" ? part : part.spelling;
      if (typeof part === "string") {
        text += part;
        continue;
      }
      const resolved = part.kind === "malformed" ? { missing: formsOfReferences } : this.#resolve(part);
      if ("value" in resolved) {
        text += resolved.value;
        if (resolved.value !== "") values.push({ text: resolved.value, spelling: part.spelling });
      } else {
        failed = true;
        this.#report({ ...place, message: `Cannot replace ${part.spelling}: ${resolved.missing}` });
      }
    }
    return { text, replaced: { spelling, values, failed } };
  }

  #placeOf(node: unknown, otherwise: Place): Place {
    const range = (node as { range?: readonly number[] | null } | null)?.range;
    return range?.[0] === undefined ? otherwise : this.#yaml.placeAt(range[0]);
  }
}

const formsOfReferences = `expected \${NAME}, \${NAME:-default}, \${file:/path} or \${credential:NAME}, none inside another; $\${ is a literal \${`;

/** Passwords come from files and credentials, and one of digits alone must stay text. */
function isVariable(part: Part | undefined): boolean {
  return typeof part === "object" && part.kind === "environment";
}

const wholeNumber = /^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$/;
const decimalNumber = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;

/** The number or boolean that YAML 1.2 (core schema) reads in a plain scalar; undefined: it stays text. */
function typedValue(text: string): number | boolean | undefined {
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  if (!wholeNumber.test(text) && !decimalNumber.test(text)) return undefined;
  const number = Number(text);
  // What a number cannot hold is an identifier.
  const isExact = wholeNumber.test(text) ? Number.isSafeInteger(number) : Number.isFinite(number);
  return isExact ? number : undefined;
}

function isMergeKey({ key }: Pair): boolean {
  return isScalar(key) && key.type === "PLAIN" && (key.value === "<<" || typeof key.value === "symbol");
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function collection(
  value: unknown,
  place: Place,
  belowKey: boolean,
  children: ReadonlyMap<string, WrittenEntry>,
): Written {
  let size = 1;
  let height = 1;
  for (const { written } of children.values()) {
    size += written.size;
    height = Math.max(height, written.height + 1);
  }
  return { value, place, belowKey, children, size, height };
}

function scalar(value: unknown, place: Place, belowKey: boolean): Written {
  return { value, place, belowKey, children: new Map(), size: 1, height: 1 };
}

function failed(place: Place, spelling: string): Written {
  return { ...scalar(null, place, false), replaced: { spelling, values: [], typed: false, failed: true } };
}
