/** Errors to failures: a reason of the closed list, and one line of text with its causes. */
import { ZodError, z } from "zod";
import { RunError } from "../sdk/run.ts";
import type { Failure, FailureReason } from "./protocol.ts";

/** Turns whatever was thrown into a failure; `aborted` says that the collection's signal was aborted for its timeout. */
export function toFailure(error: unknown, aborted = false): Failure {
  return { reason: aborted ? "timeout" : reasonOf(error), message: messageOf(error) };
}

function reasonOf(error: unknown): FailureReason {
  if (error instanceof RunError) return error.reason === "aborted" ? "timeout" : error.reason;
  if (error instanceof SyntaxError || error instanceof ZodError) return "parse";
  if ((error as { name?: unknown } | null)?.name === "TimeoutError") return "timeout";
  return "exception";
}

/** The message of an error and of its causes, on one line. */
export function messageOf(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error, depth = 0; at !== undefined && at !== null && depth < 4; depth++) {
    const text = oneMessage(at);
    // Many a wrapper repeats its cause.
    if (!parts.some((part) => part.includes(text))) parts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  return (
    parts
      .join(": ")
      .replace(/\s*\n\s*/g, "; ")
      .slice(0, 2_000) || "unknown error"
  );
}

function oneMessage(error: unknown): string {
  try {
    if (error instanceof ZodError) return z.prettifyError(error);
    // What Bun throws for a module that it cannot read: one error or several, each with its place.
    if (error instanceof AggregateError && error.errors.length > 0)
      return error.errors.slice(0, 3).map(oneMessage).join("; ");
    const { position } = error as { position?: { file: string; line: number; column: number } | null };
    if (position) return `${position.file}:${position.line}:${position.column}: ${(error as Error).message}`;
    if (error instanceof Error) return error.message || error.name;
    return typeof error === "string" ? error : (JSON.stringify(error) ?? String(error));
  } catch {
    return "an error that cannot be shown";
  }
}
