/** One recurring question, on a schedule of its own: its last answer, and how its last run went. */
import { type Run, RunError } from "holdfast";

/** Moments are Unix seconds. */
export interface Outcome {
  readonly endedAt: number;
  readonly durationSeconds: number;
  /** Undefined: it succeeded. */
  readonly error: unknown;
}

export interface OperationOptions<Answer> {
  readonly name: string;
  readonly intervalSeconds: number;
  /** @throws Whatever keeps it from an answer. */
  readonly ask: (run: Run) => Promise<Answer>;
  /** Called after each run, before the next can begin. */
  readonly onOutcome: (operation: Operation<unknown>, outcome: Outcome) => void;
  readonly now: () => number;
}

export class Operation<Answer> {
  readonly name: string;
  readonly #options: OperationOptions<Answer>;
  readonly #first = Promise.withResolvers<void>();
  #answer: Answer | undefined;
  #lastSuccessAt: number | undefined;
  #outcome: Outcome | undefined;

  constructor(options: OperationOptions<Answer>) {
    this.name = options.name;
    this.#options = options;
  }

  /** The last answer, however old. */
  get answer(): Answer | undefined {
    return this.#answer;
  }
  get lastSuccessAt(): number | undefined {
    return this.#lastSuccessAt;
  }
  /** How the last run went; undefined before the first has ended. */
  get outcome(): Outcome | undefined {
    return this.#outcome;
  }
  /** Fulfilled when the first run has ended, well or not. */
  get firstOutcome(): Promise<void> {
    return this.#first.promise;
  }
  /** Whether it ran and the last run gave an answer. */
  get isSound(): boolean {
    return this.#outcome !== undefined && this.#outcome.error === undefined;
  }

  /** Asks once. Failures are kept, not thrown; a run that was called off leaves no trace. */
  async askOnce(run: Run, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    let error: unknown;
    try {
      this.#answer = await this.#options.ask(run);
    } catch (thrown) {
      error = thrown ?? new Error("unknown failure");
    }
    if (error !== undefined && signal.aborted && !isTimeout(signal)) return;
    const endedAt = this.#options.now() / 1000;
    if (error === undefined) this.#lastSuccessAt = endedAt;
    this.#outcome = { endedAt, durationSeconds: (performance.now() - startedAt) / 1000, error };
    this.#options.onOutcome(this, this.#outcome);
    this.#first.resolve();
  }

  /** Asks again and again, at whole intervals from the first time; a moment that passes during a run is let go. */
  async keepAsking(run: Run, signal: AbortSignal): Promise<void> {
    const intervalMs = this.#options.intervalSeconds * 1000;
    const begin = performance.now();
    while (!signal.aborted) {
      await this.askOnce(run, signal);
      const elapsedMs = performance.now() - begin;
      await pause(intervalMs - (elapsedMs % intervalMs), signal);
    }
  }
}

const isTimeout = (signal: AbortSignal): boolean =>
  (signal.reason as { name?: string } | undefined)?.name === "TimeoutError";

/** Waits; ends early, without an error, when the signal is aborted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const over = Promise.withResolvers<void>();
  const end = () => over.resolve();
  // A timer cannot hold more than 2^31-1 ms; an early wake-up only means one more run.
  const timer = setTimeout(end, Math.min(milliseconds, 2 ** 31 - 1));
  signal.addEventListener("abort", end, { once: true });
  await over.promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", end);
}

/** Why a run failed: the closed list of `walg_command_errors_total`. */
export const failureReasons = ["spawn", "exit", "timeout", "parse", "oversize", "exception"] as const;
export type FailureReason = (typeof failureReasons)[number];

export function failureReason(error: unknown): FailureReason {
  if (error instanceof RunError) return error.reason === "aborted" ? "timeout" : error.reason;
  return error instanceof SyntaxError ? "parse" : "exception";
}
