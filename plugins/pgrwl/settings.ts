/** The plugin's configuration: keys of our own, and those of the original beside them. */
import { isAbsolute } from "node:path";
import { duration, z } from "holdfast";
import { connectionSetting } from "../common/postgres/connection-setting.ts";
import type { ConnectionKeywords } from "../common/postgres/conninfo.ts";
import { parseLsn } from "../common/postgres/lsn.ts";
import { asksForArchive } from "../common/wal-archive/original-archive.ts";
import { notesOn, originalSections, readOriginalKeys, type SettingNote } from "../common/wal-archive/original-keys.ts";
import { archiveFromOriginal } from "./archive/original-archive.ts";
import { archiveSection } from "./archive/settings.ts";
import type { ReceiverSettings } from "./receiver/protocol.ts";
import { serveSection } from "./serve-settings.ts";

const text = z.string().min(1);
const longestSeconds = 86_400;

/** A duration of at least 1 ms, and short enough for a timer. */
const positive = (initial: string) =>
  duration()
    .refine((seconds) => seconds >= 0.001 && seconds <= longestSeconds, "expected a duration from 1ms to 1d")
    .prefault(initial);

const position = z.string().transform((written, context) => {
  const lsn = parseLsn(written);
  if (lsn !== undefined && lsn > 0n) return lsn;
  context.addIssue({ code: "custom", message: 'expected a position in the WAL such as "0/3000000"' });
  return z.NEVER;
});

/** Keys that the original has too have no default here: which of the two is written must be seen. */
export const ownKeys = z.strictObject({
  directory: text
    .refine(isAbsolute, "expected an absolute path")
    .optional()
    .describe("Where segments go; an absolute path. Required. Made if it is missing."),
  slot: z
    .string()
    .regex(/^[a-z0-9_]{1,63}$/, "expected 1 to 63 lower-case letters, digits and underscores")
    .optional()
    .describe("The replication slot. Required. One slot has one receiver."),
  receive: z
    .boolean()
    .default(true)
    .describe("`false`: receives nothing and needs no `slot`; only serves what is in the directory and the archive."),
  create_slot: z.boolean().default(true).describe("Makes the slot when it is missing."),
  application_name: text
    .max(63)
    .optional()
    .describe("The name for `synchronous_standby_names`. Default: `application_name` in `postgres`, else the slot."),
  postgres: connectionSetting
    .optional()
    .describe("Connection string, or its keywords. Default, and for what is left out: libpq's environment."),
  on_gap: z
    .enum(["refuse", "continue"])
    .default("refuse")
    .describe("What to do when WAL is missing between what is here and what the server has."),
  no_loop: z.boolean().optional().describe("Ends at the first loss of the connection. Default: `false`."),
  end_position: position.optional().describe('Ends when all before this position, such as "0/3000000", is flushed.'),
  status_interval: positive("10s").describe("The server is told at least this often how far WAL is flushed."),
  receive_timeout: duration()
    .refine((seconds) => seconds <= longestSeconds, "expected a duration of at most 1d")
    .prefault("60s")
    .describe("A server that is silent for so long is given up, and asked for an answer at half of it; `0`: never."),
  connect_timeout: positive("10s").describe("For one attempt: all hosts, and the login."),
  back_off: z
    .strictObject({
      first: positive("1s").describe("The wait after the first failure; doubled each time, with jitter."),
      longest: positive("5s").describe("The longest wait; commits that wait for this receiver wait for it."),
    })
    .refine(({ first, longest }) => first <= longest, "expected first to be at most longest")
    .prefault({})
    .describe("The waits between attempts."),
  archive: archiveSection.optional().describe("Where ended segments are stored. Default: they stay in the directory."),
  serve: serveSection.optional().describe("Whether recoveries can fetch WAL from this instance. Default: they cannot."),
});

/** In the JSON Schema: a key is required unless the original's section of it is there. */
const required = (key: string, section: string) => ({ anyOf: [{ required: [key] }, { required: [section] }] });
const slotUnlessServing = {
  anyOf: [...required("slot", "receiver").anyOf, { required: ["receive"], properties: { receive: { const: false } } }],
};

export const settings = z
  .strictObject({ ...ownKeys.shape, ...originalSections })
  .meta({ allOf: [required("directory", "main"), slotUnlessServing] })
  .transform((config, context) => {
    const original = readOriginalKeys(config);
    const refuse = (key: string, message: string) =>
      void context.addIssue({ code: "custom", path: key.split("."), message });
    /** What is written under either name, checked by the rule of ours. */
    const either = <Key extends "directory" | "slot" | "no_loop">(own: Key, theirs: string) => {
      const written = original.get(theirs);
      if (written === undefined || written === "") return config[own];
      if (config[own] !== undefined && config[own] !== written) {
        refuse(theirs, `expected what ${own} says; they mean the same, remove this one`);
      }
      const checked = ownKeys.shape[own].safeParse(written);
      if (!checked.success) refuse(theirs, checked.error.issues[0]?.message ?? "expected another value");
      return checked.data as (typeof config)[Key];
    };
    const directory = either("directory", "main.directory");
    const slot = either("slot", "receiver.slot");
    if (directory === undefined && !original.get("main.directory")) refuse("directory", "expected an absolute path");
    if (config.receive && slot === undefined && !original.get("receiver.slot"))
      refuse("slot", "expected the name of a replication slot");
    if (!config.receive && !config.serve?.enabled)
      refuse("receive", "expected serve: {} beside it: an instance that does not receive has nothing else to do");
    const noLoop = either("no_loop", "receiver.no_loop") ?? false;
    const theirArchive = archiveFromOriginal(original, directory ?? "");
    if (theirArchive !== undefined && "key" in theirArchive) refuse(theirArchive.key, theirArchive.message);
    if (config.archive && asksForArchive(original))
      refuse("storage", "expected archive alone; they mean the same, remove this one");
    if (directory === undefined || (config.receive && slot === undefined) || context.issues.length > 0) return z.NEVER;
    const own = Object.fromEntries(Object.entries(config).filter(([key]) => key in ownKeys.shape)) as OwnConfig;
    const archive = config.archive ?? (theirArchive && "storage" in theirArchive ? theirArchive : undefined);
    return {
      ...own,
      archive,
      directory,
      slot: slot ?? "",
      no_loop: noLoop,
      notes: notesOn(original) as readonly SettingNote[],
    };
  });
type OwnConfig = z.output<typeof ownKeys>;
export type Settings = z.output<typeof settings>;

/** Rules of the receiver that nobody has to choose: a flush no later than this after what it flushes. */
const flushIntervalMs = 10;
const flushBytes = 4 * 2 ** 20;

const toMs = (seconds: number) => Math.round(seconds * 1000);

/** The settings as the receiving thread takes them. */
export function receiverSettings(config: Settings): ReceiverSettings {
  const connection: ConnectionKeywords = config.postgres ?? {};
  return {
    directory: config.directory,
    slot: config.slot,
    createSlot: config.create_slot,
    applicationName: config.application_name ?? connection.application_name ?? config.slot,
    connection,
    onGap: config.on_gap,
    noLoop: config.no_loop,
    endPosition: config.end_position,
    statusIntervalMs: toMs(config.status_interval),
    receiveTimeoutMs: toMs(config.receive_timeout),
    connectTimeoutMs: toMs(config.connect_timeout),
    firstBackOffMs: toMs(config.back_off.first),
    longestBackOffMs: toMs(config.back_off.longest),
    flushIntervalMs,
    flushBytes,
  };
}
