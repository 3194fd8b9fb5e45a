/** The last snapshot of each instance, and the page made of them all. */
import { head } from "../sdk/exposition.ts";

/** A metric family of a snapshot; `bytes` are its sample lines in the text format. */
export interface SnapshotFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly bytes: Uint8Array;
  readonly samples: number;
}

interface Snapshot {
  readonly plugin: string;
  readonly families: readonly SnapshotFamily[];
  /** Its instance was replaced, perhaps by one with another plugin: it gives way to whatever it clashes with. */
  readonly isLeft: boolean;
}

/**
 * `publish()` swaps a reference: a scrape sees an instance's old answer or its new one, never a mixture.
 * A family belongs to the plugin that has published it: another plugin cannot add to it.
 */
export class Snapshots {
  readonly #latest = new Map<string, Snapshot>();
  readonly #changed: () => void;

  /** @param changed Called after each change, for whoever caches a page. */
  constructor(changed: () => void = () => {}) {
    this.#changed = changed;
  }

  /** @throws {Error} A family's name, or one of its sample names, is in use by another plugin or with another type. */
  publish(instance: string, plugin: string, families: readonly SnapshotFamily[]): void {
    for (const left of this.#refuseClashes(instance, plugin, families)) this.#latest.delete(left);
    this.#latest.set(instance, { plugin, families, isLeft: false });
    this.#changed();
  }

  /** To be called when an instance is replaced: its snapshot stays until the successor's, and stands in nobody's way. */
  leave(instance: string): void {
    const snapshot = this.#latest.get(instance);
    if (snapshot) this.#latest.set(instance, { ...snapshot, isLeft: true });
  }

  drop(instance: string): void {
    if (this.#latest.delete(instance)) this.#changed();
  }

  has(instance: string): boolean {
    return this.#latest.has(instance);
  }

  /** How many samples the snapshot of an instance has. */
  samples(instance: string): number {
    return this.#latest.get(instance)?.families.reduce((sum, { samples }) => sum + samples, 0) ?? 0;
  }

  /** The text of the chosen instances (default: all), families merged and in the order of their names. */
  page(instances: ReadonlySet<string> | undefined): Uint8Array {
    const families = new Map<string, SnapshotFamily[]>();
    for (const [instance, snapshot] of [...this.#latest].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (instances && !instances.has(instance)) continue;
      for (const family of snapshot.families) {
        const same = families.get(family.name);
        if (same) same.push(family);
        else families.set(family.name, [family]);
      }
    }
    const encoder = new TextEncoder();
    const parts: Uint8Array[] = [];
    for (const [, same] of [...families].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const [first] = same;
      if (first) parts.push(encoder.encode(head(first)), ...same.map(({ bytes }) => bytes));
    }
    return Buffer.concat(parts);
  }

  /** @returns The instances whose snapshots were left, and clash. */
  #refuseClashes(instance: string, plugin: string, families: readonly SnapshotFamily[]): string[] {
    const others = [...this.#latest].filter(([name]) => name !== instance);
    const taken = new Map<string, Owner>();
    for (const [, snapshot] of others) {
      if (!snapshot.isLeft) for (const [sample, owner] of ownersIn(snapshot)) taken.set(sample, owner);
    }
    for (const [sample, owner] of ownersIn({ plugin, families })) {
      const other = taken.get(sample);
      if (!other) taken.set(sample, owner);
      else if (!isSame(other, owner)) {
        throw new Error(
          `Cannot publish the ${owner.type} ${JSON.stringify(owner.family)} of plugin ${JSON.stringify(plugin)}: ` +
            `plugin ${JSON.stringify(other.plugin)} has a ${other.type} ${JSON.stringify(other.family)}; give one another name`,
        );
      }
    }
    const clashes = ([sample, owner]: [string, Owner]) => !isSame(taken.get(sample) ?? owner, owner);
    return others.flatMap(([name, snapshot]) => (snapshot.isLeft && ownersIn(snapshot).some(clashes) ? [name] : []));
  }
}

interface Owner {
  readonly family: string;
  readonly type: string;
  readonly plugin: string;
}

const isSame = (one: Owner, other: Owner): boolean =>
  one.plugin === other.plugin && one.type === other.type && one.family === other.family;

/** Whose the sample names of a snapshot are. */
function ownersIn({ plugin, families }: Pick<Snapshot, "plugin" | "families">): [string, Owner][] {
  return families.flatMap(({ name: family, type }) =>
    sampleNames(family, type).map((sample): [string, Owner] => [sample, { family, type, plugin }]),
  );
}

/** The names under which samples of a family appear. */
export function sampleNames(family: string, type: string): readonly string[] {
  if (type === "histogram") return [family, `${family}_bucket`, `${family}_sum`, `${family}_count`];
  if (type === "summary") return [family, `${family}_sum`, `${family}_count`];
  return [family];
}
