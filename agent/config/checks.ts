/** What no schema sees: two parts of the configuration that do not fit together. */
import type { Address } from "../sdk/units.ts";
import type { InstanceConfig, Place, Problem } from "./config.ts";
import type { Listener } from "./listeners.ts";
import { formatPlace } from "./problems.ts";

/** Two instances of one plugin whose series could not be told apart. */
export function sameLabels(instances: readonly InstanceConfig[]): Problem[] {
  const firsts = new Map<string, InstanceConfig>();
  return instances.flatMap((instance) => {
    const { name, plugin, labels } = instance;
    const key = JSON.stringify([plugin, ...Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
    const first = firsts.get(key);
    firsts.set(key, first ?? instance);
    if (!first) return [];
    const found =
      Object.keys(labels).length === 0
        ? "both use one plugin and have no labels"
        : "both use one plugin and have the same labels";
    const place = formatPlace(first.place([]));
    const remedy = `expected labels that differ, such as labels: { cluster: ${name} }`;
    const message = `Cannot tell plugins.${name} from plugins.${first.name} (${place}): ${found}, ${remedy}`;
    return [{ ...instance.place(["labels"]), message }];
  });
}

/** An agent that nobody could ask anything. */
export function noAddress(
  listen: readonly Listener[],
  instances: readonly InstanceConfig[],
  place: (path: readonly PropertyKey[]) => Place,
): Problem[] {
  if (listen.length > 0 || instances.some((instance) => instance.listen !== undefined)) return [];
  return [{ ...place(["listen"]), message: "Cannot read listen: expected an address, here or at an instance" }];
}

/** Addresses that are wanted twice. */
export function sameAddresses(listeners: readonly Listener[]): Problem[] {
  return listeners.flatMap((listener, index) => {
    const first = listeners.slice(0, index).find((other) => overlap(other.address, listener.address));
    if (!first) return [];
    const { name, shown, place } = listener;
    const taken = `${first.name} ${first.shown} (${formatPlace(first.place)}) takes it`;
    const message = `Cannot use ${name} ${shown}: ${taken}, expected another port`;
    return [{ ...place, message }];
  });
}

/** Whether the second of two addresses could never be bound; port 0 is another one each time. */
function overlap(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  if (a.host.toLowerCase() === b.host.toLowerCase()) return true;
  return covers(a.host, b.host) || covers(b.host, a.host);
}

function covers(wide: string, host: string): boolean {
  if (wide === "") return true;
  if (wide === "0.0.0.0") return /^[\d.]+$/.test(host);
  return wide === "::" && host.includes(":");
}
