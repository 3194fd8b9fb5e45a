/** The modules that a plugin's file imports without installing them. `Bun.plugin` holds for the thread that calls it. */
import { plugin } from "bun";
import * as holdfast from "../sdk/index.ts";
import { isExecutable } from "./executable.ts";

type Exports = Record<string, unknown>;

/** Loaded when a plugin asks for them: each costs its worker memory. */
const bundled: Readonly<Record<string, () => Promise<Exports>>> = {
  hono: () => import("hono"),
  "prom-client": () => import("prom-client"),
  zod: () => import("zod"),
};

plugin({
  name: "holdfast",
  setup(build) {
    build.module("holdfast", () => ({ exports: holdfast, loader: "object" }));
    for (const [name, load] of Object.entries(bundled)) {
      // From the sources, an import by name would find the virtual module itself, for ever.
      const path = isExecutable ? undefined : Bun.resolveSync(name, import.meta.dir);
      build.module(name, async () => ({ exports: await (path ? import(path) : load()), loader: "object" }));
    }
  },
});
