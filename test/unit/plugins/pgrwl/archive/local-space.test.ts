/** Room in the receive folder, made again and again where it cannot be made at once. */
import { expect, test } from "bun:test";
import { LocalSpace, type LocalSpaceOptions } from "../../../../../plugins/pgrwl/archive/local-space.ts";
import { waitFor } from "../../../../harness/wait.ts";

/** A folder with nothing to delete, of whose disk nothing can be learnt the first times. */
function scene(failures: number) {
  const lines: string[] = [];
  let looks = 0;
  const log = (level: string) => (message: string) => void lines.push(`${level}: ${message}`);
  const options = {
    files: { segments: () => [], removable: () => [], writeRecord: () => {} },
    log: { error: log("error"), warn: log("warn"), info: log("info"), debug: log("debug") },
    now: Date.now,
    retryMs: 1,
    space: async () => {
      looks++;
      if (looks <= failures) throw new Error("the disk does not answer");
      return undefined;
    },
  };
  return { localSpace: new LocalSpace(options as unknown as LocalSpaceOptions), lines, looks: () => looks };
}

test("what fails is tried again until it succeeds, and is warned of once", async () => {
  const { localSpace, lines, looks } = scene(3);
  await localSpace.tidy(new AbortController().signal);
  await waitFor("the fourth look", () => looks() === 4);
  const said = "Archived segments cannot be deleted here";
  expect(lines).toEqual([`warn: ${said}`, `debug: ${said}`, `debug: ${said}`]);
});
