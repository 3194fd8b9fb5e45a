/** What is in a server's databases, in a form that can be compared; and whether it is sound. */
import { join } from "node:path";
import type { PostgresServer } from "./postgres.ts";
import { runTool } from "./processes.ts";

const userRelations = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

const definitions = `
  SELECT 'relation', c.oid::regclass, c.relkind, c.reloptions FROM ${userRelations} ORDER BY 2;
  SELECT 'column', c.oid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    FROM pg_attribute a, ${userRelations} AND a.attrelid = c.oid AND a.attnum > 0 ORDER BY 2, 3;
  SELECT 'index', pg_get_indexdef(c.oid) FROM ${userRelations} AND c.relkind = 'i' ORDER BY 2;
  SELECT 'constraint', pg_get_constraintdef(k.oid), k.conrelid::regclass FROM pg_constraint k, ${userRelations}
    AND k.conrelid = c.oid ORDER BY 3, 2;
  SELECT 'sequence', schemaname, sequencename, last_value FROM pg_sequences ORDER BY 2, 3;
  SELECT 'role', rolname FROM pg_roles ORDER BY 2;
  SELECT 'database', datname FROM pg_database ORDER BY 2`;

/** A sum over hashes does not depend on the order in which rows lie. */
const rowsOf = (table: string) =>
  `SELECT 'rows', '${table}', count(*), sum(hashtextextended(t::text, 0)::numeric) FROM ${table} t`;

/**
 * One line for each definition, and for each table the number of its rows and a checksum over them; where the server's
 * version brings pg_dumpall, the checksum of a whole dump too.
 */
export async function databaseContent(server: PostgresServer): Promise<string[]> {
  const lines = (await server.psql(definitions)).split("\n");
  const tables = lines
    .map((line) => line.split("|"))
    .filter(([kind, , relkind]) => kind === "relation" && relkind === "r");
  const counts = await server.psql(tables.map(([, name = ""]) => rowsOf(name)).join(";\n") || "SELECT 'no table'");
  return [...lines, ...counts.split("\n"), ...(await dumpDigest(server))].filter(Boolean);
}

/** Needs `--restrict-key`, of 15.14 and later: without it no two dumps are equal. */
async function dumpDigest({ executables, socketFolder, port, user }: PostgresServer): Promise<string[]> {
  const dumpall = join(executables, "pg_dumpall");
  if (!(await Bun.file(dumpall).exists())) return [];
  const command = `set -o pipefail; '${dumpall}' --restrict-key=0 -h '${socketFolder}' -p ${port} -U postgres | sha256sum`;
  return [`dump ${(await runTool(["bash", "-c", command], { user, cwd: socketFolder })).trim()}`];
}

/** What amcheck finds in all tables and B-trees of the database; empty: they are sound. Installs the extension. */
export async function corruption(server: PostgresServer): Promise<string[]> {
  const found = await server.psql(`
    CREATE EXTENSION IF NOT EXISTS amcheck;
    SELECT c.oid::regclass, v.blkno, v.offnum, v.msg FROM pg_class c, verify_heapam(c.oid) v
      WHERE c.relkind IN ('r', 't', 'm') AND c.relpersistence = 'p'`);
  await server.psql(`
    SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
      JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relpersistence = 'p' AND i.indisready AND i.indisvalid`);
  return found.split("\n").filter(Boolean);
}
