/** What a configuration file says: plain data, with the place of every key and value and what came from references. */
import type { Place } from "./config.ts";

/** A value as it is written, references replaced. */
export interface Written {
  /** Plain data: null, boolean, number, string, array, object. */
  readonly value: unknown;
  readonly place: Place;
  /** Below its key rather than beside it, or nothing at all: a message points at the key. */
  readonly belowKey: boolean;
  /** By key, or by index as text; empty for scalars. */
  readonly children: ReadonlyMap<string, WrittenEntry>;
  /** Values in it, itself counted: what an alias repeats counts each time. */
  readonly size: number;
  /** Levels in it, itself counted, aliases followed. */
  readonly height: number;
  /** Set on a scalar that holds references. */
  readonly replaced?: Replaced;
}

/** A value and its key. The key of a list's item stands where the item does. */
export interface WrittenEntry {
  readonly key: Place;
  readonly written: Written;
}

/** What references did to a scalar. */
export interface Replaced {
  /** The scalar with its references as `${NAME}`: what messages show. */
  readonly spelling: string;
  /** The texts that came in, none empty, each with the spelling of its reference. */
  readonly values: readonly { readonly text: string; readonly spelling: string }[];
  /** A number or a boolean was made of it. */
  readonly typed: boolean;
  /** A reference had no value: whatever else is wrong with the scalar follows from that. */
  readonly failed: boolean;
}

/** Where a path leads. */
export interface Found {
  /** Where a message about it points. */
  readonly place: Place;
  /** Undefined where the path is not written. */
  readonly written: Written | undefined;
  /** The path, or what holds it, is a scalar whose reference has no value. */
  readonly failed: boolean;
}

/** Follows a path down from an entry; the place of one that is not written is that of its nearest known parent. */
export function find(from: WrittenEntry, path: readonly PropertyKey[]): Found {
  let entry = from;
  for (const step of path) {
    const next = entry.written.children.get(String(step));
    if (!next) return { place: placeOf(entry), written: undefined, failed: isFailed(entry) };
    entry = next;
  }
  return { place: placeOf(entry), written: entry.written, failed: isFailed(entry) };
}

function placeOf({ key, written }: WrittenEntry): Place {
  return written.belowKey ? key : written.place;
}

function isFailed({ written }: WrittenEntry): boolean {
  return written.replaced?.failed === true;
}

/** A scalar that holds references. */
export type ReplacedScalar = Written & { readonly replaced: Replaced };

/** All scalars that hold references, in order of the file; what an alias repeats comes once. */
export function replacedIn(written: Written, seen = new Set<Written>()): ReplacedScalar[] {
  if (seen.has(written)) return [];
  seen.add(written);
  const below = [...written.children.values()].flatMap((entry) => replacedIn(entry.written, seen));
  return hasReplaced(written) ? [written, ...below] : below;
}

function hasReplaced(written: Written): written is ReplacedScalar {
  return written.replaced !== undefined;
}

/** The plain data of children, keys in order. */
export function objectOf(children: ReadonlyMap<string, WrittenEntry>): Record<string, unknown> {
  return Object.fromEntries([...children].map(([key, { written }]) => [key, written.value]));
}
