/** What `scripts/build` writes into the executable. */
declare const HOLDFAST_VERSION: string;
declare const HOLDFAST_REVISION: string;

export const version = typeof HOLDFAST_VERSION === "undefined" ? "0.0.0-dev" : HOLDFAST_VERSION;
export const revision = typeof HOLDFAST_REVISION === "undefined" ? "unknown" : HOLDFAST_REVISION;
