/** Which backup a delta builds on, and whether all that it builds on is still stored. */
import { type Backup, ownSegment } from "./backups.ts";

export interface DeltaChains {
  /** The backup that a delta was taken against; undefined for a full one, and when it is gone or not named. */
  parent(backup: Backup): Backup | undefined;
  /** How many deltas lead from a full backup to this one; undefined when the chain is broken. A full backup has 0. */
  depth(backup: Backup): number | undefined;
}

/**
 * Follows the names of deltas, `base_OWN_D_PARENT`, through an index: linear in the number of backups.
 * Several backups can begin in one segment; then the parent is the one that ended last before the delta began.
 */
export function deltaChains(backups: readonly Backup[]): DeltaChains {
  const bySegment = new Map<string, Backup[]>();
  for (const backup of backups) {
    const segment = ownSegment(backup.name);
    if (segment === "") continue;
    const sharing = bySegment.get(segment);
    if (sharing) sharing.push(backup);
    else bySegment.set(segment, [backup]);
  }

  const findParent = (delta: Backup): Backup | undefined => {
    const at = delta.name.indexOf("_D_");
    if (delta.type === "full" || at === -1) return undefined;
    const candidates = bySegment.get(delta.name.slice(at + 3, at + 27))?.filter((backup) => backup.name !== delta.name);
    return candidates && latestBefore(candidates, delta.startedAt);
  };
  const parents = new Map(backups.map((backup) => [backup.name, findParent(backup)]));

  const depths = new Map<string, number | undefined>();
  const findDepth = (backup: Backup): number | undefined => {
    const path: Backup[] = [];
    const onPath = new Set<string>();
    let current: Backup | undefined = backup;
    // Two deltas of one segment can name each other: a circle is a broken chain.
    while (current && !depths.has(current.name) && current.type === "delta" && !onPath.has(current.name)) {
      path.push(current);
      onPath.add(current.name);
      current = parents.get(current.name);
    }
    let depth =
      current === undefined || onPath.has(current.name)
        ? undefined
        : current.type === "full"
          ? 0
          : depths.get(current.name);
    for (const delta of path.reverse()) {
      depth = depth === undefined ? undefined : depth + 1;
      depths.set(delta.name, depth);
    }
    return depth;
  };

  return { parent: ({ name }) => parents.get(name), depth: findDepth };
}

function latestBefore(candidates: readonly Backup[], moment: number | undefined): Backup | undefined {
  let best: Backup | undefined;
  for (const candidate of candidates) {
    if (candidate.finishedAt === undefined || moment === undefined || candidate.finishedAt > moment) continue;
    if (best?.finishedAt === undefined || candidate.finishedAt > best.finishedAt) best = candidate;
  }
  return best ?? candidates[0];
}
