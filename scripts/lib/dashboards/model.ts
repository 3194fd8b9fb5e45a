/** What a dashboard shows, in the few words that differ from one panel to the next; render.ts makes Grafana's JSON of it. */

/**
 * PromQL. `@` in braces stands for all of the dashboard's variables, `#` for job and instance alone:
 * `pgrwl_gap{@,reason="timeline"}`.
 */
export type Expression = string;

export interface Query {
  readonly expr: Expression;
  /** Grafana's notation: `{{server}}`. */
  readonly legend?: string;
}

export type Color = "green" | "yellow" | "orange" | "red" | "blue" | "text";

/** The first colour holds from the beginning, each other from its value on. */
export type Thresholds = readonly [Color, ...(readonly [from: number, color: Color])[]];

/** Words in place of numbers. */
export type Words = Readonly<Record<number, readonly [text: string, color: Color]>>;

/** Identifiers of Grafana's units; `moment` is a Unix time in milliseconds, shown with date and time. */
export type Unit = "s" | "bytes" | "Bps" | "short" | "percentunit" | "moment" | "none" | "ops";

interface Shown {
  readonly title: string;
  /** What it means, and from when on it is bad. */
  readonly description: string;
  readonly unit?: Unit;
  readonly thresholds?: Thresholds;
  readonly words?: Words;
  /** Of 24. */
  readonly width: number;
  readonly height?: number;
  /** When no series at all is nothing to wonder about. The others must show something for a plugin that runs. */
  readonly mayBeEmpty?: string;
}

export interface Stat extends Shown {
  readonly kind: "stat";
  readonly queries: readonly Query[];
}
export interface Graph extends Shown {
  readonly kind: "timeseries";
  readonly queries: readonly Query[];
  readonly logarithmic?: boolean;
  readonly stacked?: boolean;
}
export interface Timeline extends Shown {
  readonly kind: "state-timeline";
  readonly queries: readonly Query[];
}
export interface Column {
  readonly title: string;
  readonly expr: Expression;
  readonly unit?: Unit;
  readonly thresholds?: Thresholds;
  readonly words?: Words;
  /** A label of this query alone, shown in place of its value. */
  readonly label?: string;
  readonly mayBeEmpty?: boolean;
}
export interface Table extends Shown {
  readonly kind: "table";
  /** Labels that make a row. */
  readonly rows: Readonly<Record<string, string>>;
  readonly columns: readonly Column[];
}
export type Panel = Stat | Graph | Timeline | Table;

export interface Section {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** A variable with the values of a label. */
export interface Variable {
  readonly name: string;
  readonly label: string;
  /** A metric that has it. */
  readonly metric: string;
}

export interface Dashboard {
  /** `holdfast-NAME` is its uid and the name of its file. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Instances of this plugin; undefined: of all. */
  readonly plugin?: string;
  /** Beside job and instance, which each dashboard has. */
  readonly variables: readonly Variable[];
  readonly sections: readonly Section[];
}

/** The queries of a panel, and whether each may be without series. */
export function queriesOf(panel: Panel): readonly (Query & { readonly mayBeEmpty: boolean })[] {
  const quiet = panel.mayBeEmpty !== undefined;
  if (panel.kind !== "table") return panel.queries.map((query) => ({ ...query, mayBeEmpty: quiet }));
  return panel.columns.map(({ expr, mayBeEmpty = false }) => ({ expr, mayBeEmpty: quiet || mayBeEmpty }));
}

/** The expression with the variables' selectors in its braces. */
export function expand(expr: Expression, { variables }: Dashboard): string {
  const base = ["job", "instance"].map((name) => `${name}=~"$${name}"`);
  const all = [...base, ...variables.map(({ name }) => `${name}=~"$${name}"`)];
  return expr.replaceAll("{@", `{${all}`).replaceAll("{#", `{${base}`);
}

export const yesOrNo = (yes: string, no: string): Words => ({ 1: [yes, "green"], 0: [no, "red"] });
export const notAbove = (orange: number, red: number): Thresholds => ["green", [orange, "orange"], [red, "red"]];
export const noneIsGood: Thresholds = ["green", [1, "red"]];
export const hours = (count: number): number => count * 3600;
