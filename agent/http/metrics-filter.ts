/** `?collect[]=NAME` and `?exclude[]=NAME`, as node_exporter has them: which instances a page shows. */
import { nearest } from "../config/suggestions.ts";

export type Filter =
  /** Without instances: all of them. */
  { readonly instances: ReadonlySet<string> | undefined } | { readonly problem: string };

/** @param names The instances that there are. */
export function readFilter(query: URLSearchParams, names: readonly string[]): Filter {
  const collect = query.getAll("collect[]");
  const exclude = query.getAll("exclude[]");
  if (collect.length > 0 && exclude.length > 0) {
    return { problem: "Cannot use collect[] and exclude[] together: expected one of them" };
  }
  const known = new Set(names);
  const unknown = [...collect, ...exclude].find((name) => !known.has(name));
  if (unknown !== undefined) return { problem: unknownInstance(unknown, names) };
  if (collect.length > 0) return { instances: new Set(collect) };
  if (exclude.length === 0) return { instances: undefined };
  for (const name of exclude) known.delete(name);
  return { instances: known };
}

function unknownInstance(name: string, names: readonly string[]): string {
  const suggestion = nearest(name, names);
  const remedy =
    suggestion === undefined ? `expected one of ${names.join(", ") || "none"}` : `did you mean ${suggestion}?`;
  return `Cannot find an instance ${JSON.stringify(name)}: ${remedy}`;
}
