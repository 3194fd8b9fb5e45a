/** What a zod schema knows at a path: for suggestions when a key is misspelt. */
import type { z } from "zod";

/** The parts of a schema's definition that lead further down; zod has no narrower public type for all kinds. */
interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly options?: readonly z.core.$ZodType[];
  readonly element?: z.core.$ZodType;
  readonly items?: readonly z.core.$ZodType[];
  readonly rest?: z.core.$ZodType | null;
  readonly valueType?: z.core.$ZodType;
  readonly catchall?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly out?: z.core.$ZodType;
  readonly left?: z.core.$ZodType;
  readonly right?: z.core.$ZodType;
  readonly getter?: () => z.core.$ZodType;
}

/** The keys of the objects that may stand at a path, in the order of the schema; of a union those of all branches. */
export function knownKeysAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const keys = schemasAt(schema, path).flatMap((one) => Object.keys(definition(one).shape ?? {}));
  return [...new Set(keys)];
}

/** The branches of the union at a path; empty where there is none. */
export function unionOptionsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly z.core.$ZodType[] {
  let reached = [schema];
  for (const step of path) reached = reached.flatMap(plain).flatMap((one) => childrenAt(one, step));
  const unions = reached.flatMap((one) => unwrapped(one)).filter((one) => definition(one).type === "union");
  return unions.flatMap((one) => definition(one).options ?? []);
}

function schemasAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType[] {
  let reached = plain(schema);
  for (const step of path) reached = reached.flatMap((one) => childrenAt(one, step)).flatMap(plain);
  return reached;
}

function childrenAt(schema: z.core.$ZodType, step: PropertyKey): z.core.$ZodType[] {
  const { type, shape = {}, element, items = [], rest, valueType, catchall } = definition(schema);
  const key = String(step);
  const child =
    type === "object"
      ? Object.hasOwn(shape, key)
        ? shape[key]
        : catchall
      : (element ?? items[Number(key)] ?? rest ?? valueType);
  return child ? [child] : [];
}

/** The schemas behind optional, default, pipe, lazy, union and intersection. */
function plain(schema: z.core.$ZodType): z.core.$ZodType[] {
  return unwrapped(schema).flatMap((one) => {
    const { type, options, left, right } = definition(one);
    if (type === "union") return (options ?? []).flatMap(plain);
    if (type === "intersection" && left && right) return [...plain(left), ...plain(right)];
    return [one];
  });
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType[] {
  const { type, innerType, in: input, out, getter } = definition(schema);
  if (type === "lazy" && getter) return unwrapped(getter());
  // z.preprocess() is a pipe whose input is a transform: what it gives goes into the output's schema.
  if (type === "pipe" && input && out) return unwrapped(definition(input).type === "transform" ? out : input);
  return innerType ? unwrapped(innerType) : [schema];
}

function definition(schema: z.core.$ZodType): Definition {
  return schema._zod.def as unknown as Definition;
}
