/** Made by `scripts/build-scaffold.ts`; the import gives its path. */
declare module "*/author-kit.zst" {
  const path: string;
  export default path;
}
