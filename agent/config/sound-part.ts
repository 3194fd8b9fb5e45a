/** What is right in a mapping that is partly wrong: good for finding the rest of what is wrong. */
import type { z } from "zod";
import { type PlainIssue, zodIssues } from "../sdk/issues.ts";

export interface SoundPart<Data> {
  /** The mapping without its wrong keys; undefined where even so it does not fit. */
  readonly data: Data | undefined;
  readonly issues: readonly PlainIssue[];
  /** The keys that are wrong, or whose values are. */
  readonly broken: ReadonlySet<PropertyKey>;
}

export function soundPart<Schema extends z.ZodType>(schema: Schema, value: unknown): SoundPart<z.output<Schema>> {
  const read = schema.safeParse(value);
  if (read.success) return { data: read.data, issues: [], broken: new Set() };
  const issues = zodIssues(schema, read.error);
  const broken = new Set<PropertyKey>(
    issues.flatMap(({ path, unknownKeys = [] }): readonly PropertyKey[] =>
      path.length === 0 ? unknownKeys : path.slice(0, 1),
    ),
  );
  const sound = Object.fromEntries(Object.entries(Object(value)).filter(([key]) => !broken.has(key)));
  return { data: schema.safeParse(sound).data, issues, broken };
}
