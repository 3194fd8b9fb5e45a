/** Reads what `bun test --reporter=junit` writes. */

export interface TestCase {
  /** The names of the groups around it and its own, joined by ` > `. */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

/** The test cases in the report's order. */
export function parseJunit(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  // Attribute values hold neither quotes nor angle brackets: those are written as entities.
  for (const [, attributes = "", , body = ""] of xml.matchAll(/<testcase\b([^>]*?)(\/>|>(.*?)<\/testcase>)/gs)) {
    const groups = attribute(attributes, "classname");
    const ownName = attribute(attributes, "name");
    const outcome = /<(failure|error)\b/.test(body) ? "failed" : /<skipped\b/.test(body) ? "skipped" : "passed";
    cases.push({ name: groups === "" ? ownName : `${groups} > ${ownName}`, outcome });
  }
  return cases;
}

function attribute(attributes: string, name: string): string {
  const [, value = ""] = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes) ?? [];
  return value.replace(/&(?:#(\d+)|(\w+));/g, (all, code?: string, entity?: string) =>
    code === undefined ? (entities[entity ?? ""] ?? all) : String.fromCodePoint(Number(code)),
  );
}
