/** A module of prom-client that its own types leave out. */
declare module "prom-client/lib/util.js" {
  const util: object;
  export default util;
}
