/** WAL that arrived at the Barman host and waits to be archived. */
import { readdir } from "node:fs/promises";
import type { DiagnosedServer } from "./diagnose.ts";

export interface WalQueues {
  /** Undefined: the server does not use this way, or its directory cannot be read from here. */
  readonly incoming: number | undefined;
  readonly streaming: number | undefined;
}

// A segment, a history file or a backup label; `.partial` is being received, `.tmp` is being copied.
const walFile = /^[0-9A-F]{8}(?:[0-9A-F]{16})?(?:\.(?!partial$|tmp$)[^/]*)?$/;

export async function countQueues({ incoming, streaming }: DiagnosedServer["queues"]): Promise<WalQueues> {
  const [incomingFiles, streamingFiles] = await Promise.all([countWal(incoming), countWal(streaming)]);
  return { incoming: incomingFiles, streaming: streamingFiles };
}

async function countWal(directory: string | undefined): Promise<number | undefined> {
  if (directory === undefined) return undefined;
  try {
    return (await readdir(directory)).filter((name) => walFile.test(name)).length;
  } catch {
    return undefined;
  }
}
