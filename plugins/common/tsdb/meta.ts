/** `meta.json` of a block. Source: prometheus/tsdb/block.go, `BlockMeta`, version 1. */
import { z } from "holdfast";

const count = z.number().int().nonnegative();

const shape = z.looseObject({
  version: z.literal(1),
  ulid: z.string(),
  minTime: z.number().int(),
  maxTime: z.number().int(),
  // Go leaves out what is zero.
  stats: z
    .looseObject({
      numSamples: count.default(0),
      numSeries: count.default(0),
      numChunks: count.default(0),
      numTombstones: count.default(0),
    })
    .default({ numSamples: 0, numSeries: 0, numChunks: 0, numTombstones: 0 }),
  compaction: z
    .looseObject({
      level: count.default(0),
      sources: z.array(z.string()).default([]),
      parents: z.array(z.looseObject({ ulid: z.string() })).nullish(),
    })
    .default({ level: 0, sources: [] }),
});

/** Times in Unix milliseconds; `maxTime` is the first moment after the block. */
export interface BlockMeta {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
  readonly stats: {
    readonly numSamples: number;
    readonly numSeries: number;
    readonly numChunks: number;
    readonly numTombstones: number;
  };
  /** 1: cut from the head; each compaction adds one. `sources`: the blocks of level 1 that went into it. */
  readonly compaction: { readonly level: number; readonly sources: readonly string[] };
}

/** @throws {SyntaxError} Not JSON, or not that shape; the message says where. */
export function parseMeta(json: string): BlockMeta {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new SyntaxError("it is no JSON", { cause });
  }
  const parsed = shape.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new SyntaxError(`${issue?.path.join(".") || "it"}: ${issue?.message}`, { cause: parsed.error });
}
