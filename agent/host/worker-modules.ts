/** The modules that a plugin's file imports without installing them. `Bun.plugin` holds for the thread that calls it. */
import { plugin } from "bun";
import * as hono from "hono";
import * as promClient from "prom-client";
import * as zod from "zod";
import * as holdfast from "../sdk/index.ts";

// Imported before they are registered: outside the executable, an `import()` here would find the virtual module itself.
const modules: Readonly<Record<string, Record<string, unknown>>> = { holdfast, hono, "prom-client": promClient, zod };

plugin({
  name: "holdfast",
  setup(build) {
    for (const [name, exports] of Object.entries(modules)) build.module(name, () => ({ exports, loader: "object" }));
  },
});
