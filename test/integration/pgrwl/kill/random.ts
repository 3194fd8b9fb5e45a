/** Chance that can be repeated: the same seed gives the same numbers. */

export interface Chance {
  /** In [0, 1). */
  next(): number;
  /** An integer of [from, to). */
  integer(from: number, to: number): number;
  isLess(probability: number): boolean;
  pick<Value>(values: readonly Value[]): Value;
  shuffled<Value>(values: readonly Value[]): Value[];
}

/** Source: Tommy Ettinger, mulberry32. */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (from: number, to: number) => from + Math.floor(next() * (to - from));
  return {
    next,
    integer,
    isLess: (probability) => next() < probability,
    pick<Value>(values: readonly Value[]): Value {
      return values[integer(0, values.length)] as Value;
    },
    shuffled<Value>(values: readonly Value[]): Value[] {
      const left = [...values];
      return Array.from({ length: left.length }, () => left.splice(integer(0, left.length), 1)).flat();
    },
  };
}
