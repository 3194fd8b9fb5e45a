/** The recorded snapshots of Prometheus 2.42, unpacked as they were: with their times. */
import { join } from "node:path";
import { createFolder, type TemporaryFolder } from "./folders.ts";
import { runTool } from "./processes.ts";

const recordings = new URL("../fixtures/prometheus/2.42/snapshot/", import.meta.url).pathname;

export const skipHeadTar = join(recordings, "skip-head.tar");
export const withHeadArchive = join(recordings, "with-head.tar.gz");
export const skipHeadName = "20261121T071616Z-48d449c7c9037e84";
export const withHeadName = "20261121T071616Z-2f581998c9b2f085";

/** A folder with the two recorded snapshots in it, as a server's snapshot folder has them. */
export async function snapshotFolderFixture(): Promise<TemporaryFolder> {
  const folder = await createFolder("holdfast-snapshots");
  for (const archive of [skipHeadTar, withHeadArchive]) {
    await runTool(["tar", "-xf", archive, "-C", folder.path], { user: "root", cwd: "/" });
  }
  return folder;
}
