/** What every replaced tool is made of: its flags, and what holdfast does for a command line of its. */
import { UsageError } from "../commands/command.ts";

/** A flag of the original. */
export interface OriginalFlag {
  readonly name: string;
  /** Another name of it, such as `c`. */
  readonly short?: string;
  /** What it takes, for the help; a flag without it is a switch. */
  readonly value?: string;
  /** The variable that stands in for it. */
  readonly environment?: string;
  /** As the original's help shows it. */
  readonly default?: string;
  /** What becomes of it: a key of the configuration, or a sentence. */
  readonly here: string;
  /** What to do instead. A flag that has this is refused. */
  readonly refused?: string;
}

/** What the original was told. */
export interface Invocation {
  /** Behind the tool's name. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths start here. */
  readonly cwd: string;
}

/** The one instance that does what the original did, as it is written in YAML. Texts are in holdfast's notation: see `literal()`. */
export interface Translation {
  /** Instance and plugin. */
  readonly plugin: string;
  readonly log?: { readonly level?: string | undefined; readonly format?: string | undefined };
  readonly instance: Readonly<Record<string, unknown>> & { readonly listen?: string };
  /** What a person should know at each start. */
  readonly notes: readonly string[];
  /** What a person should know who keeps the configuration. */
  readonly remarks?: readonly string[];
}

/** What is done for a command line. */
export type Plan =
  | { readonly kind: "text"; readonly text: string; readonly status?: number }
  /** A command of holdfast's, with its arguments. */
  | { readonly kind: "command"; readonly name: string; readonly args: readonly string[] }
  | {
      readonly kind: "run" | "check" | "collect";
      /** What the configuration is called in messages: the original's file as it was given, or what stands in for one. */
      readonly source: string;
      /** Whether `source` is a file. */
      readonly isFile: boolean;
      /** Reads the original's file anew each time. @throws {UsageError} */
      translate(): Promise<Translation>;
    };

export interface Tool {
  /** Of the messages and the help. */
  readonly name: string;
  /** Statuses of a wrong command line, and of work that failed. */
  readonly exitStatus: { readonly usage: number; readonly failed: number };
  /** @throws {UsageError} The command line, the environment or the file is wrong, or asks for what is no more. */
  plan(invocation: Invocation): Plan | Promise<Plan>;
}

/** A text that stands for itself in holdfast's configuration, where `${…}` would be a reference. */
export const literal = (text: string): string => text.replaceAll("${", () => "$${");

/** Refuses by name what the original could, and says what to do instead. */
export function refuse(what: string, wayOut: string): never {
  throw new UsageError(`Cannot do what ${what} asks for: ${wayOut}`);
}
