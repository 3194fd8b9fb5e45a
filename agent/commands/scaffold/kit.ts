/** What the executable carries for plugin authors; read when asked for only. */
import file from "../../../dist/author-kit.zst" with { type: "file" };

export interface AuthorKit {
  /** The plugin that `plugin new` writes: relative path to text. */
  readonly template: Files;
  /** `holdfast.js`, `holdfast.d.ts`, … and the chunks that they share. */
  readonly modules: Files;
  /** Declarations behind those of the modules, of Bun and of Node.js. */
  readonly types: Files;
}

export type Files = Readonly<Record<string, string>>;

/** Unpacks what `scripts/build-scaffold.ts` packed. */
export async function readAuthorKit(): Promise<AuthorKit> {
  const bytes = await Bun.file(file).bytes();
  const files = JSON.parse(new TextDecoder().decode(Bun.zstdDecompressSync(bytes))) as Files;
  return { template: below("template/", files), modules: below("modules/", files), types: below("types/", files) };
}

function below(prefix: string, files: Files): Files {
  const inside = Object.entries(files).filter(([path]) => path.startsWith(prefix));
  return Object.fromEntries(inside.map(([path, text]) => [path.slice(prefix.length), text]));
}
