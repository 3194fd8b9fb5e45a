/** The replication slot: found, made where it is missing, made anew where the server has given it up. */
import { parseSegmentName, segmentAt } from "../../common/postgres/wal-segments.ts";
import type { GapError } from "./gaps.ts";
import type { Server } from "./server.ts";
import type { SessionOptions } from "./session.ts";
import type { ServerState } from "./start-position.ts";

/**
 * Where the slot stands; undefined when it keeps no WAL.
 * @param examine Called before a slot is made, or made anew. Throws when the server is none to make one on: it would keep WAL there that
 *   nobody comes for.
 */
export async function openSlot(
  server: Server,
  { settings, telemetry, memory, log }: Pick<SessionOptions, "settings" | "telemetry" | "memory" | "log">,
  examine: () => void,
): Promise<bigint | undefined> {
  let slot = await server.slot(settings.slot);
  const lost = memory.lostSlot;
  // By now it may be another one: somebody made it anew, or another server answers at this address.
  if (lost !== undefined && slot !== undefined && slot.restartLsn === lost.restartLsn) {
    await server.dropSlot(settings.slot);
    slot = undefined;
  }
  // Only now: the server refuses to drop it while the connection of before still has it.
  memory.lostSlot = undefined;
  if (slot !== undefined && slot.restartLsn === undefined && settings.createSlot && server.usesLostSlots) {
    examine();
    await server.dropSlot(settings.slot);
    log("warn", "The replication slot keeps no WAL; it is made anew", { slot: settings.slot });
    slot = undefined;
  }
  if (slot === undefined) {
    if (!settings.createSlot)
      throw new Error(
        `Cannot receive WAL: the server has no replication slot "${settings.slot}", and create_slot is off; ` +
          `create it with SELECT pg_create_physical_replication_slot('${settings.slot}', true)`,
      );
    examine();
    await server.createSlot(settings.slot);
    telemetry.add("slotsCreated");
    log("warn", "The replication slot was missing and has been created", { slot: settings.slot });
    slot = await server.slot(settings.slot);
  }
  if (slot?.restartLsn !== undefined) telemetry.setLsn("slotRestart", slot.restartLsn);
  return slot?.restartLsn;
}

/**
 * Servers before 18 let a slot be used that they have given up, and keep nothing for it. A status that came late may have
 * given it a position again: what it should have kept from there on is gone all the same.
 */
export function keepsNothing(gap: GapError, { slotLsn }: ServerState, segmentSizeBytes: number): boolean {
  if (gap.reason !== "wal_removed") return gap.reason === "slot_lost";
  if (slotLsn === undefined) return true;
  const removed = parseSegmentName(/[0-9A-F]{24}/.exec(gap.message)?.[0] ?? "", segmentSizeBytes);
  return removed !== undefined && removed.number >= segmentAt(slotLsn, segmentSizeBytes);
}
