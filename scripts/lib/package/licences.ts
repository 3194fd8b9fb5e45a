/** Whose work the executable holds, and under which licences: the `copyright` file of the packages. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const lockFile = z.looseObject({
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string().optional(),
      license: z.string().optional(),
      dev: z.boolean().optional(),
      optional: z.boolean().optional(),
      devOptional: z.boolean().optional(),
    }),
  ),
});

interface Dependency {
  readonly name: string;
  readonly version: string;
  /** The text that its author gives. */
  readonly licence: string;
}

/**
 * The text of `copyright`: holdfast's licence, those of the npm packages that it depends on, and Bun's.
 * @param year Of the release.
 * @throws {Error} A dependency does not say under which licence it is.
 */
export async function copyrightText(repository: string, year: number): Promise<string> {
  const dependencies = await bundledDependencies(repository);
  const bun = await Bun.file(join(repository, "node_modules/bun-types/docs/project/license.mdx")).text();
  return [
    `holdfast: one agent for people who must be able to restore.

Copyright ${year} the holdfast authors

Licensed under the Apache License, Version 2.0; on Debian systems its text is in /usr/share/common-licenses/Apache-2.0,
elsewhere it stands beside this file, as LICENSE.

The executable also holds the work of others: the npm packages below, and the Bun runtime.`,
    ...dependencies.map(({ name, version, licence }) => `${heading(`${name} ${version}`)}\n\n${licence}`),
    `${heading("Bun")}

Copyright Oven and the authors of Bun. The MIT licence: its conditions are those above, e.g. of hono. On Debian systems the texts
of the GNU licences named below are in /usr/share/common-licenses/LGPL-2 and LGPL-2.1.

${withoutFrontMatter(bun).replace(/^## /gm, "").trim()}`,
    "",
  ].join("\n\n");
}

const heading = (text: string) => `${"-".repeat(100)}\n${text}`;
const withoutFrontMatter = (text: string) => text.replace(/^---\n[\s\S]*?\n---\n/, "");

async function bundledDependencies(repository: string): Promise<Dependency[]> {
  const { packages } = lockFile.parse(await Bun.file(join(repository, "package-lock.json")).json());
  const bundled = Object.entries(packages).filter(
    ([path, { dev, optional, devOptional }]) => path !== "" && !dev && !optional && !devOptional,
  );
  return await Promise.all(
    bundled.map(async ([path, { version = "", license = "" }]) => {
      const name = path.replace(/^.*node_modules\//, "");
      return { name, version, licence: await licenceOf(join(repository, path), name, license) };
    }),
  );
}

/** The file that holds its licence, or the section of its README. */
async function licenceOf(folder: string, name: string, identifier: string): Promise<string> {
  // Debian wants the text of this one to be referred to; none of them has a NOTICE.
  if (identifier === "Apache-2.0") return "Apache License, Version 2.0, as above.";
  const files = await readdir(folder);
  const file = files.find((one) => /^(?:licen[cs]e|copying)(?:\.|$)/i.test(one));
  if (file !== undefined) return (await Bun.file(join(folder, file)).text()).trim();
  const readme = files.find((one) => /^readme(?:\.|$)/i.test(one));
  const text = readme === undefined ? "" : await Bun.file(join(folder, readme)).text();
  const section = /^#+ licen[cs]e\s*\n([\s\S]*?)(?=\n#|$(?![\s\S]))/im.exec(text)?.[1]?.trim();
  if (section) return section;
  throw new Error(
    `Cannot tell the licence of ${name}: ${folder} has no LICENSE, and its README no section of that name`,
  );
}
