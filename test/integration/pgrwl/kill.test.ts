/**
 * Kills at random moments under writers with synchronous commit, the agent the only synchronous standby: whatever is
 * killed, each acknowledged row is in the files received, and each file is what the server has. More rounds:
 * scripts/soak/pgrwl-kill.ts.
 */
import { expect, test } from "bun:test";
import { postgresVersions } from "../../harness/available.ts";
import { describeWith } from "../../harness/describe-with.ts";
import { runRounds } from "./kill/rounds.ts";

const versions = postgresVersions().filter((version, _, all) => version === 15 || version === all.at(-1));
const count = Math.ceil(52 / versions.length);

describeWith(["postgresql", "dist/holdfast"], "kills at random moments", () => {
  test.each(versions)(
    "lose nothing that was acknowledged, on PostgreSQL %d",
    async (version) => {
      const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
      const result = await runRounds({ seed, count, version, roundsBetweenDisasters: 9 });
      expect(result.disasters).toBeGreaterThanOrEqual(3);
      expect(result.segments).toBeGreaterThan(count);
      expect(result.acknowledged).toBeGreaterThan(8 * count);
    },
    480_000,
  );
});
