/** Checks what a plugin's module and its `setup` give: nobody's compiler has seen it. */
import type { Plugin, PluginInstance } from "../sdk/plugin.ts";
import { parseDuration } from "../sdk/units.ts";

/** @throws {Error} The module's default export is no plugin, or one of another name. */
export function checkedPlugin(value: unknown, name: string): Plugin {
  const plugin = value as Partial<Plugin> | undefined;
  if (!plugin || typeof plugin !== "object" || typeof plugin.setup !== "function") {
    throw new Error("The module has no plugin as its default export: expected `export default definePlugin({ … })`");
  }
  if (plugin.name !== name) {
    throw new Error(
      `The plugin calls itself ${JSON.stringify(plugin.name)}: expected its file's name ${JSON.stringify(name)}`,
    );
  }
  if (typeof plugin.description !== "string") throw new Error("The plugin has no description");
  if (typeof plugin.config?.safeParse !== "function") {
    throw new Error("The plugin's config is no zod schema: expected `config: z.strictObject({ … })`");
  }
  if (plugin.check !== undefined && typeof plugin.check !== "function") {
    throw new Error("The plugin's check is no function: expected `check(context) { … }`, or none");
  }
  return plugin as Plugin;
}

/** @throws {Error} It is no duration, or less than the second that the configuration asks for too. */
export function defaultSeconds(what: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  // Written in JavaScript, it may be anything.
  const seconds = typeof text === "string" ? parseDuration(text) : undefined;
  if (seconds !== undefined && seconds >= 1) return seconds;
  throw new Error(
    `Cannot use the plugin's default ${what} ${JSON.stringify(text)}: expected a duration of at least "1s"`,
  );
}

const callable = ["collect", "restorable", "start", "status", "stop"] as const;
const members = ["collect", "http", "start", "stop"];
const expected = "expected an object with any of collect, http, start and stop";

/**
 * What `setup` returned; nothing is an instance that does nothing.
 * @throws {Error} A member has the wrong type, or there are members and all of them are unknown: a typing error.
 */
export function checkedInstance(value: unknown): PluginInstance {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object") throw new Error(`The plugin's setup() returned a ${typeof value}: ${expected}`);
  const instance = value as Record<string, unknown>;
  for (const name of callable) {
    if (instance[name] !== undefined && typeof instance[name] !== "function") {
      throw new Error(`The plugin's ${name} is a ${typeof instance[name]}: expected a function`);
    }
  }
  const { http } = instance as { http?: { fetch?: unknown } | null };
  if (http !== undefined && typeof http?.fetch !== "function") {
    throw new Error("The plugin's http is no app: expected a `new Hono()`");
  }
  const own = Object.keys(instance);
  if (own.length > 0 && !members.some((name) => instance[name] !== undefined || own.includes(name))) {
    throw new Error(`The plugin's setup() returned ${own.slice(0, 5).join(", ")}: ${expected}`);
  }
  return instance as PluginInstance;
}
