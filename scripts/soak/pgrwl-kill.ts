/**
 * The kill test of the WAL receiver for as long as you like: `bun scripts/soak/pgrwl-kill.ts [rounds] [seed]`, 2,000 rounds
 * and a random seed unless told otherwise. A run with the same seed does the same things; only their moments differ.
 * Each hundred rounds begin with a new server, of each version in turn. Needs dist/holdfast and a PostgreSQL.
 */
import { postgresVersions } from "../../test/harness/available.ts";
import { runRounds } from "../../test/integration/pgrwl/kill/rounds.ts";

const roundsOfALife = 100;
const print = (text: string) => process.stdout.write(`${text}\n`);

function numberOf(argument: string | undefined, otherwise: number): number {
  const number = Number(argument ?? otherwise);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  process.stderr.write(`Cannot read the number "${argument}"; usage: pgrwl-kill.ts [rounds] [seed]\n`);
  process.exit(2);
}

const total = numberOf(process.argv[2], 2000);
const seed = numberOf(process.argv[3], Math.floor(Math.random() * 2 ** 31));
const versions = postgresVersions();
const startedAt = performance.now();
const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(0);
const faults: Record<string, number> = {};
const sum = { disasters: 0, acknowledged: 0, segments: 0 };
print(`${total} rounds, seed ${seed}, PostgreSQL ${versions.join(", ")}`);
for (let done = 0; done < total; done += roundsOfALife) {
  const version = versions[(done / roundsOfALife) % versions.length] ?? 0;
  const result = await runRounds({
    seed: seed + done,
    count: Math.min(roundsOfALife, total - done),
    version,
    roundsBetweenDisasters: 10,
    onRound: (round, fault) => print(`${seconds()} s  PostgreSQL ${version}, round ${done + round}: ${fault}`),
  });
  for (const [name, count] of Object.entries(result.faults)) faults[name] = (faults[name] ?? 0) + count;
  for (const key of ["disasters", "acknowledged", "segments"] as const) sum[key] += result[key];
}
for (const [name, count] of Object.entries(faults)) print(`${String(count).padStart(6)} × ${name}`);
print(
  `${total} rounds and ${sum.disasters} losses of the primary in ${seconds()} s: ${sum.acknowledged} acknowledged rows, ` +
    `none lost; ${sum.segments} segments equal to the server's`,
);
