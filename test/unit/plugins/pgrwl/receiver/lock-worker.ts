/** Takes the lock of a folder as the receiving thread does, says how it went, and lives on. */
import { DirectoryLock } from "../../../../../plugins/pgrwl/receiver/directory-lock.ts";

declare const self: Worker;
let lock: DirectoryLock | undefined;

self.onmessage = ({ data }: MessageEvent<{ readonly take?: string }>) => {
  try {
    if (data.take === undefined) lock?.release();
    else lock = DirectoryLock.take(data.take);
    self.postMessage("done");
  } catch (error) {
    self.postMessage(error instanceof Error ? error.message : String(error));
  }
};
