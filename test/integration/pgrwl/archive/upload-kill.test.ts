/**
 * Kills at random moments during uploads, deletions and retention: no segment is ever missing from both places, none is
 * half-written under its final name. More rounds: scripts/soak/pgrwl-upload.ts.
 */
import { expect, test } from "bun:test";
import { describeWith } from "../../../harness/describe-with.ts";
import { leastRetained, leastWaiting, runUploadRounds } from "./kill/rounds.ts";
import { placeKinds } from "./places.ts";

const counts = { local: 18, S3: 18, SFTP: 14 } as const;

for (const kind of placeKinds) {
  describeWith(["postgresql", "dist/holdfast", ...kind.needs], `kills while WAL is archived on ${kind.name}`, () => {
    test("lose nothing", async () => {
      const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
      const result = await runUploadRounds({ seed, count: counts[kind.name], kind });
      expect(result.archived).toBeGreaterThan(counts[kind.name] * 2);
      expect(result.waiting).toBeGreaterThanOrEqual(leastWaiting);
      if (kind.name === "local") expect(result.retained).toBeGreaterThanOrEqual(leastRetained);
    }, 360_000);
  });
}
