/** The thread that receives WAL and does nothing else: whatever could wait for long happens elsewhere. */
import { Disk } from "./disk.ts";
import type { FromThread, ToThread } from "./protocol.ts";
import { Receiver } from "./receiver.ts";
import { Telemetry } from "./telemetry.ts";

declare const self: Worker;

const tell = (message: FromThread) => self.postMessage(message);
let receiver: Receiver | undefined;
let isStopping = false;

self.onmessage = ({ data }: MessageEvent<ToThread>) => {
  if (data.kind === "stop") {
    isStopping = true;
    if (receiver) receiver.stop();
    else tell({ kind: "stopped" });
    return;
  }
  const { settings, environment, lastArchived } = data;
  const telemetry = new Telemetry(data.telemetry);
  receiver = new Receiver({ settings, environment, telemetry, disk: new Disk(), tell, lastArchived });
  receiver.run().then(
    () => {
      if (isStopping) tell({ kind: "stopped" });
      else receiver = undefined;
    },
    (error) => tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
};
