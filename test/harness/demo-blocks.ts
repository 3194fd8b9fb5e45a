/** Blocks of a Prometheus with values that are known, made by promtool. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "./processes.ts";

export interface DemoBlocks {
  /** Unix seconds of the first sample; a multiple of two hours makes whole blocks. */
  readonly from: number;
  readonly hours: number;
  readonly series: number;
  /** Default 15. */
  readonly everySeconds?: number;
}

/** Writes `demo_value{series="0"…}` into `dataFolder`, two hours a block; the values hardly compress. */
export async function makeBlocks(
  dataFolder: string,
  { from, hours, series, everySeconds = 15 }: DemoBlocks,
): Promise<void> {
  const file = join(dataFolder, "..", `demo-${Bun.randomUUIDv7()}.om`);
  const writer = Bun.file(file).writer({ highWaterMark: 1 << 20 });
  writer.write("# TYPE demo_value gauge\n");
  for (let one = 0; one < series; one++) {
    let lines = "";
    for (let second = 0; second < hours * 3600; second += everySeconds) {
      // A sequence that is the same each time, and yet looks random.
      const value = ((one * 7919 + second) * 2_654_435_761) % 4_294_967_296;
      lines += `demo_value{series="${one}"} ${value / 1000} ${from + second}\n`;
    }
    writer.write(lines);
    await writer.flush();
  }
  writer.write("# EOF\n");
  await writer.end();
  await runTool(["promtool", "tsdb", "create-blocks-from", "openmetrics", file, dataFolder], {
    user: "root",
    cwd: "/",
  });
  await rm(file);
}

/** A recent multiple of two hours, some hours ago. */
export const wholeHoursAgo = (hours: number): number => {
  const twoHours = 7200;
  return Math.floor((Date.now() / 1000 - hours * 3600) / twoHours) * twoHours;
};
