import type { Command } from "./command.ts";
export const command: Command = { name: "wal verify", summary: "", flags: [], run: async () => 0 };
