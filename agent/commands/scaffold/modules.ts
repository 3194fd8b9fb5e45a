/** The modules that a plugin imports by name without installing them; the worker's table has the same. */
export const pluginModules = ["holdfast", "zod", "hono", "prom-client"] as const;
