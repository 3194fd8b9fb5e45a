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
    this.#refuseClashes(instance, plugin, families);
    this.#latest.set(instance, { plugin, families });
    this.#changed();
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

  #refuseClashes(instance: string, plugin: string, families: readonly SnapshotFamily[]): void {
    const taken = new Map<string, { family: string; type: string; plugin: string }>();
    for (const [name, snapshot] of this.#latest) {
      if (name === instance) continue;
      for (const { name: family, type } of snapshot.families) {
        for (const sample of sampleNames(family, type)) taken.set(sample, { family, type, plugin: snapshot.plugin });
      }
    }
    for (const { name: family, type } of families) {
      for (const sample of sampleNames(family, type)) {
        const other = taken.get(sample);
        if (!other) taken.set(sample, { family, type, plugin });
        else if (other.plugin !== plugin || other.type !== type || other.family !== family) {
          throw new Error(
            `Cannot publish the ${type} ${JSON.stringify(family)} of plugin ${JSON.stringify(plugin)}: ` +
              `plugin ${JSON.stringify(other.plugin)} has a ${other.type} ${JSON.stringify(other.family)}; give one another name`,
          );
        }
      }
    }
  }
}

/** The names under which samples of a family appear. */
export function sampleNames(family: string, type: string): readonly string[] {
  if (type === "histogram") return [family, `${family}_bucket`, `${family}_sum`, `${family}_count`];
  if (type === "summary") return [family, `${family}_sum`, `${family}_count`];
  return [family];
}
