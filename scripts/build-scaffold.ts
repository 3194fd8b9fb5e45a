/**
 * Makes dist/author-kit.zst, which `holdfast plugin new` and `holdfast plugin test` carry: what a plugin author needs
 * where neither Bun nor npm nor the internet is. To be run before agent/main.ts is compiled, with Bun.
 *
 * It is a JSON object of relative path to text, compressed with zstd:
 * - `template/…`: the plugin that `plugin new` writes;
 * - `modules/…`: the modules that a plugin imports by name (`holdfast.js`, …) and the chunks that they share;
 * - `types/…`: their declarations, those of Bun and of Node.js, exactly the files that a compiler reads.
 */
import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { pluginModules } from "../agent/commands/scaffold/modules.ts";

const repository = new URL("..", import.meta.url).pathname;
const dist = join(repository, "dist");
const template = join(repository, "agent/commands/scaffold/template");
const typePackages = ["zod", "hono", "prom-client", "bun-types", "@types/node", "undici-types"];

type Files = Record<string, string>;

await mkdir(dist, { recursive: true });
// Inside the repository: its node_modules are to be found from here.
const scratch = await mkdtemp(join(dist, "author-kit-"));
let interruptedBy: NodeJS.Signals | undefined;
let compiler: Bun.Subprocess | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    interruptedBy = signal;
    // Whole: what it has started would go on writing into the folder.
    if (compiler?.exitCode === null) process.kill(-compiler.pid, "SIGKILL");
  });
}
try {
  const files = { ...(await templateFiles()), ...(await moduleFiles()), ...(await typeFiles()) };
  const bytes = Bun.zstdCompressSync(JSON.stringify(files), { level: 19 });
  const unfinished = join(scratch, "author-kit.zst");
  await Bun.write(unfinished, bytes);
  await rename(unfinished, join(dist, "author-kit.zst"));
  process.stdout.write(
    `dist/author-kit.zst  ${Math.ceil(bytes.length / 1024)} KiB  ${Object.keys(files).length} files\n`,
  );
} catch (error) {
  if (interruptedBy === undefined) throw error;
} finally {
  await rm(scratch, { recursive: true, force: true, maxRetries: 5 });
}
// Its handler is gone: this ends the process, and tells whoever waits why.
if (interruptedBy !== undefined) process.kill(process.pid, interruptedBy);

async function templateFiles(): Promise<Files> {
  const paths = (await readdir(template, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(template, join(entry.parentPath, entry.name)));
  return await read(paths.sort().map((path) => [`template/${path}`, join(template, path)]));
}

/** One bundle with shared chunks: `z` of "holdfast" and of "zod" are the same object. */
async function moduleFiles(): Promise<Files> {
  const entries = await Promise.all(
    pluginModules.map(async (name) => {
      const from = name === "holdfast" ? join(repository, "agent/sdk/index.ts") : name;
      // By name: `export *` passes over what a CommonJS module exports, and over the default.
      const names = Object.keys((await import(from)) as object).join(", ");
      const source = `export { ${names} } from ${JSON.stringify(from)};`;
      await Bun.write(join(scratch, "entries", `${name}.ts`), source);
      return join(scratch, "entries", `${name}.ts`);
    }),
  );
  const { outputs } = await Bun.build({
    entrypoints: entries,
    target: "bun",
    splitting: true,
    minify: true,
    outdir: join(scratch, "modules"),
    naming: { entry: "[name].[ext]", chunk: "chunk-[hash].[ext]" },
  });
  const modules = await read(outputs.map(({ path }) => [`modules/${relative(join(scratch, "modules"), path)}`, path]));
  for (const name of pluginModules) modules[`modules/${name}.d.ts`] = declarationOf(name);
  return modules;
}

/** What stands beside a module's code and leads to its types. */
function declarationOf(name: (typeof pluginModules)[number]): string {
  const from = {
    holdfast: "./types/holdfast/index.js",
    zod: "./types/zod/index.cjs",
    hono: "./types/hono/dist/types/index.js",
    "prom-client": "./types/prom-client/index.js",
  }[name];
  const byDefault = name === "zod" ? `export { default } from "${from}";\n` : "";
  return `export * from "${from}";\n${byDefault}`;
}

async function typeFiles(): Promise<Files> {
  const declarations = join(scratch, "sdk");
  const options = ["--declaration", "--emitDeclarationOnly", "--noEmit", "false", "--noCheck"];
  const sdk = join(repository, "agent/sdk");
  await compile({ include: [join(sdk, "*.ts")] }, [...options, "--rootDir", sdk, "--outDir", declarations]);

  await Bun.write(join(scratch, "probe.ts"), pluginModules.map((name) => `import ${JSON.stringify(name)};`).join("\n"));
  const list = await compile(
    { files: ["probe.ts"], compilerOptions: { paths: { holdfast: [join(declarations, "index.d.ts")] } } },
    ["--noEmit", "--listFiles"],
  );
  const entries: [string, string][] = [];
  for (const path of list.split("\n")) {
    const inside = path.startsWith(`${declarations}/`)
      ? `holdfast/${relative(declarations, path)}`
      : path.split("/node_modules/").at(-1);
    const name = ["holdfast", ...typePackages].find((known) => inside?.startsWith(`${known}/`));
    if (inside && name) entries.push([`types/${inside}`, path]);
  }
  for (const name of typePackages) {
    const licence = join(repository, "node_modules", name, "LICENSE");
    if (await Bun.file(licence).exists()) entries.push([`types/${name}/LICENSE`, licence]);
  }
  return await read(entries);
}

/** Runs the TypeScript compiler on the repository's settings. @returns What it printed. */
async function compile(settings: object, args: readonly string[]): Promise<string> {
  const project = join(scratch, "tsconfig.json");
  await Bun.write(project, JSON.stringify({ extends: join(repository, "tsconfig.json"), include: [], ...settings }));
  const tsc = join(repository, "node_modules/.bin/tsc");
  if (interruptedBy !== undefined) throw new Error(`Interrupted by ${interruptedBy}`);
  const child = Bun.spawn([tsc, "--project", project, ...args], { stdout: "pipe", stderr: "inherit", detached: true });
  compiler = child;
  const [output, status] = await Promise.all([child.stdout.text(), child.exited]);
  if (status !== 0) throw new Error(`Cannot make declarations of the plugin SDK: ${output.slice(0, 2_000)}`);
  return output;
}

async function read(entries: readonly (readonly [name: string, path: string])[]): Promise<Files> {
  return Object.fromEntries(
    await Promise.all(entries.map(async ([name, path]) => [name, await Bun.file(path).text()])),
  );
}
