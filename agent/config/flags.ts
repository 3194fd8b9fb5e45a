/** Flags of the command line that win over the file. */
import { resolve } from "node:path";
import { parseAddress } from "../sdk/units.ts";
import type { AgentConfig, Problem } from "./config.ts";
import type { Listener } from "./listeners.ts";
import { formats, levels } from "./schema.ts";

/** As they stand on the command line. */
export interface Flags {
  readonly listen?: readonly string[];
  /** Relative to the working directory. */
  readonly webConfig?: string;
  /** A whole number. */
  readonly maxRequests?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

export interface ReadFlags {
  readonly listen: readonly Listener[] | undefined;
  readonly webConfig: string | undefined;
  readonly maxRequests: number | undefined;
  readonly logLevel: AgentConfig["log"]["level"] | undefined;
  readonly logFormat: AgentConfig["log"]["format"] | undefined;
}

/** Reads the flags; what is wrong with one is told to `report`, at a place that is the flag's name. */
export function readFlags(flags: Flags, cwd: string, report: (problem: Problem) => void): ReadFlags {
  const refuse = (flag: string, found: string, expected: string): void =>
    report({ ...placeOf(flag), message: `Cannot read ${JSON.stringify(found)}: expected ${expected}` });
  const oneOf = <T extends string>(flag: string, found: string | undefined, known: readonly T[]): T | undefined => {
    const value = known.find((one) => one === found);
    if (found !== undefined && value === undefined) refuse(flag, found, `one of ${known.join(", ")}`);
    return value;
  };
  const listen = flags.listen?.flatMap((text): Listener[] => {
    const address = parseAddress(text);
    if (address) return [{ name: listenFlag, address, place: placeOf(listenFlag), shown: JSON.stringify(text) }];
    refuse(listenFlag, text, 'an address such as "127.0.0.1:9847" or ":9351"');
    return [];
  });
  const { maxRequests } = flags;
  const isCount = maxRequests === undefined || (/^\d+$/.test(maxRequests) && Number.isSafeInteger(Number(maxRequests)));
  if (!isCount) refuse("--web.max-requests", maxRequests, "a whole number, 0 for no limit");
  return {
    listen: listen?.length === 0 ? undefined : listen,
    webConfig: flags.webConfig ? resolve(cwd, flags.webConfig) : undefined,
    maxRequests: isCount && maxRequests !== undefined ? Number(maxRequests) : undefined,
    logLevel: oneOf("--log.level", flags.logLevel, levels),
    logFormat: oneOf("--log.format", flags.logFormat, formats),
  };
}

const listenFlag = "--web.listen-address";

function placeOf(flag: string): { file: string; line: number; column: number } {
  return { file: flag, line: 0, column: 0 };
}
