/** The plugins in the executable. Each is loaded by the worker that needs it. */
export const builtInPlugins: Readonly<Record<string, () => Promise<{ default: unknown }>>> = {
  barman: () => import("../../plugins/barman/index.ts"),
  pgrwl: () => import("../../plugins/pgrwl/index.ts"),
  prombackup: () => import("../../plugins/prombackup/index.ts"),
  walg: () => import("../../plugins/walg/index.ts"),
};
