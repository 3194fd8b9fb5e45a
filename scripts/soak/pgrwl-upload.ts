/**
 * The kill test of uploads, deletions and retention for as long as you like: `bun scripts/soak/pgrwl-upload.ts [rounds] [seed]`,
 * 500 rounds and a random seed unless told otherwise. Each fifty rounds begin with a new server and the next storage.
 * Needs dist/holdfast, a PostgreSQL and, for SFTP, OpenSSH.
 */
import { missing } from "../../test/harness/available.ts";
import { runUploadRounds } from "../../test/integration/pgrwl/archive/kill/rounds.ts";
import { placeKinds } from "../../test/integration/pgrwl/archive/places.ts";

const roundsOfALife = 50;
const print = (text: string) => process.stdout.write(`${text}\n`);

function numberOf(argument: string | undefined, otherwise: number): number {
  const number = Number(argument ?? otherwise);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  process.stderr.write(`Cannot read the number "${argument}"; usage: pgrwl-upload.ts [rounds] [seed]\n`);
  process.exit(2);
}

const total = numberOf(process.argv[2], 500);
const seed = numberOf(process.argv[3], Math.floor(Math.random() * 2 ** 31));
const kinds = placeKinds.filter(({ needs }) => missing(...needs) === undefined);
const startedAt = performance.now();
const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(0);
const sum = { archived: 0, retained: 0, inBoth: 0, waiting: 0 };
print(`${total} rounds, seed ${seed}`);
for (let done = 0; done < total; done += roundsOfALife) {
  const kind = kinds[(done / roundsOfALife) % kinds.length];
  if (kind === undefined) break;
  const count = Math.min(roundsOfALife, total - done);
  const result = await runUploadRounds({ seed: seed + done, count, kind });
  for (const key of ["archived", "retained", "inBoth", "waiting"] as const) sum[key] += result[key];
  print(`${seconds()} s  ${kind.name}, round ${done + count}: ${JSON.stringify(result)}`);
}
print(
  `${total} kills in ${seconds()} s: ${sum.archived} segments in the archive equal to the server's, ${sum.retained} retained away, ` +
    `${sum.waiting} kills while some waited, ${sum.inBoth} while some were in both places; none was lost or half-written`,
);
