/** Who listens where: for the check that nobody wants an address twice. */
import { type Address, formatAddress } from "../sdk/units.ts";
import type { InstanceConfig, Place } from "./config.ts";
import { find, type WrittenEntry } from "./written.ts";

/** Somebody who wants an address. */
export interface Listener {
  /** `plugins.archive.listen`, `listen` or a flag. */
  readonly name: string;
  readonly address: Address;
  readonly place: Place;
  /** The address as messages show it. */
  readonly shown: string;
}

/** The agent's own addresses, as `listen:` gives them. */
export function settingsListeners(listen: Address | readonly Address[], main: WrittenEntry | undefined): Listener[] {
  if (isOne(listen)) return [listener("listen", listen, main, ["listen"])];
  return listen.map((address, index) => listener("listen", address, main, ["listen", index]));
}

/** The addresses of instances' own. */
export function instanceListeners(
  instances: readonly InstanceConfig[],
  entries: ReadonlyMap<string, WrittenEntry>,
): Listener[] {
  return instances.flatMap(({ name, listen }) =>
    listen ? [listener(`plugins.${name}.listen`, listen, entries.get(name), ["listen"])] : [],
  );
}

function listener(
  name: string,
  address: Address,
  entry: WrittenEntry | undefined,
  path: readonly PropertyKey[],
): Listener {
  const found = entry && find(entry, path);
  const place = found?.place ?? { file: "the default", line: 0, column: 0 };
  return { name, address, place, shown: found?.written?.replaced?.spelling ?? JSON.stringify(formatAddress(address)) };
}

function isOne(listen: Address | readonly Address[]): listen is Address {
  return !Array.isArray(listen);
}
