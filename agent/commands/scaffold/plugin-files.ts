/** The files of a new plugin. */
import type { AuthorKit, Files } from "./kit.ts";
import { pluginModules } from "./modules.ts";

/** Path below the plugin's folder to text. */
export function pluginFiles({ template }: Pick<AuthorKit, "template">, name: string): Files {
  const named = Object.entries(template).map(([path, text]) => [path, renamed(text, name)]);
  // Lists on one line, as a formatter writes them.
  const settings = JSON.stringify(compilerSettings, null, 2).replace(/\[\s+([^[\]]*?)\s+\]/g, (_, items: string) => {
    return `[${items.replace(/\s+/g, " ")}]`;
  });
  return { ...Object.fromEntries(named), "tsconfig.json": `${settings}\n` };
}

/** What an editor and `bun test` read in place of installed packages, by its path below the plugin's folder. */
export function editorFiles({ modules, types }: Pick<AuthorKit, "modules" | "types">): Files {
  const files: Record<string, string> = { ".holdfast/.gitignore": ignored };
  for (const [path, text] of Object.entries(modules)) files[`.holdfast/${path}`] = text;
  for (const [path, text] of Object.entries(types)) files[`.holdfast/types/${path}`] = text;
  return files;
}

/** What a plugin's metrics begin with: its name in the letters that a metric may have. */
export function metricPrefix(name: string): string {
  return name.toLowerCase().replaceAll("-", "_");
}

function renamed(text: string, name: string): string {
  return text.replaceAll('"spool"', JSON.stringify(name)).replaceAll("spool_", `${metricPrefix(name)}_`);
}

const ignored = `# Written by holdfast for the editor alone; written anew by: holdfast plugin new --types NAME [DIR]
*
`;

const compilerSettings = {
  compilerOptions: {
    target: "ESNext",
    module: "Preserve",
    moduleResolution: "bundler",
    lib: ["ESNext"],
    strict: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    skipLibCheck: true,
    typeRoots: ["./.holdfast/types", "./.holdfast/types/@types"],
    types: ["bun-types"],
    paths: {
      ...Object.fromEntries(pluginModules.map((name) => [name, [`./.holdfast/${name}`]])),
      "undici-types": ["./.holdfast/types/undici-types/index.d.ts"],
    },
  },
};
