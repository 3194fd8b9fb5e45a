import { pluginModules } from "./modules.ts";

/**
 * Runs before the tests of a plugin, from the folder that the modules are in: gives them these modules, as the agent
 * gives them to the plugin, and takes back what makes this executable act as Bun, for what a test starts itself.
 */
export const testPreload = `import { plugin } from "bun";

delete process.env.BUN_BE_BUN;
plugin({
  name: "holdfast",
  setup(build) {
    for (const name of ${JSON.stringify(pluginModules)}) {
      build.module(name, async () => ({ exports: await import(\`./\${name}.js\`), loader: "object" }));
    }
  },
});
`;
