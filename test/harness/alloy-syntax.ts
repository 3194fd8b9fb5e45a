/**
 * Reads the syntax of Grafana Alloy, as far as our example needs it; Alloy itself cannot be had here.
 * Source: Alloy's documentation, "Configuration syntax". Left out: raw strings, indexing, comparisons, `and`/`or`.
 */

export interface Block {
  /** `prometheus.scrape`, or the name of a block inside one. */
  readonly name: string;
  /** Undefined for inner blocks. */
  readonly label: string | undefined;
  readonly attributes: readonly Attribute[];
  readonly blocks: readonly Block[];
}

export interface Attribute {
  readonly name: string;
  /** Dotted names in its value: `prometheus.relabel.holdfast.receiver`. */
  readonly references: readonly string[];
}

interface Token {
  readonly kind: "name" | "string" | "number" | "mark" | "newline" | "end";
  readonly text: string;
  readonly line: number;
}

const pattern =
  /(?<newline>\n)|(?<space>[ \t\r]+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<string>"(?:[^"\\\n]|\\.)*")|(?<number>\d+(?:\.\d+)?)|(?<name>[A-Za-z_]\w*)|(?<mark>[{}[\](),.=+\-*/])/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const groups = pattern.exec(text)?.groups;
    if (groups === undefined)
      throw new SyntaxError(`line ${line}: cannot read ${JSON.stringify(text.slice(at, at + 10))}`);
    const [kind = "end", found = ""] = Object.entries(groups).find(([, value]) => value !== undefined) ?? [];
    if (kind !== "space") tokens.push({ kind: kind as Token["kind"], text: found, line });
    line += found.split("\n").length - 1;
  }
  return [...tokens, { kind: "newline", text: "\n", line }, { kind: "end", text: "the end", line }];
}

/** @throws {SyntaxError} With the line and what was found there. */
export function parseAlloy(text: string): readonly Block[] {
  const { attributes, blocks } = new Parser(tokensOf(text)).body("end");
  if (attributes.length > 0) throw new SyntaxError(`"${attributes[0]?.name}" stands outside of every block`);
  return blocks;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  /** Statements up to `}` or the end, each on a line of its own. */
  body(until: "}" | "end"): { attributes: Attribute[]; blocks: Block[] } {
    const attributes: Attribute[] = [];
    const blocks: Block[] = [];
    const ended = () => (until === "end" ? this.#peek().kind === "end" : this.#is(until));
    this.#skipNewlines();
    while (!ended()) {
      const name = this.#dotted();
      if (this.#take("=")) attributes.push({ name, references: this.#expression() });
      else {
        const label = this.#peek().kind === "string" ? this.#next().text.slice(1, -1) : undefined;
        this.#expect("{");
        const inner = this.body("}");
        this.#expect("}");
        blocks.push({ name, label, ...inner });
      }
      if (!ended() && this.#peek().kind !== "newline") this.#refuse("a new line");
      this.#skipNewlines();
    }
    return { attributes, blocks };
  }

  #expression(): string[] {
    const references = this.#operand();
    while (["+", "-", "*", "/"].some((operator) => this.#take(operator))) references.push(...this.#operand());
    return references;
  }

  #operand(): string[] {
    const { kind } = this.#peek();
    if (kind === "string" || kind === "number") {
      this.#next();
      return [];
    }
    if (this.#take("[")) return this.#members("]", () => this.#expression());
    if (this.#take("{")) {
      return this.#members("}", () => {
        if (this.#peek().kind === "string") this.#next();
        else this.#dotted();
        this.#expect("=");
        return this.#expression();
      });
    }
    if (kind !== "name") this.#refuse("a value");
    const name = this.#dotted();
    if (name === "true" || name === "false" || name === "null") return [];
    return this.#take("(") ? this.#members(")", () => this.#expression()) : [name];
  }

  /** Divided by commas; one after the last is allowed, and needed before a new line. */
  #members(close: string, member: () => string[]): string[] {
    const references: string[] = [];
    this.#skipNewlines();
    while (!this.#is(close)) {
      references.push(...member());
      if (!this.#take(",")) break;
      this.#skipNewlines();
    }
    this.#expect(close);
    return references;
  }

  #dotted(): string {
    let name = this.#name();
    while (this.#take(".")) name += `.${this.#name()}`;
    return name;
  }
  #name(): string {
    if (this.#peek().kind !== "name") this.#refuse("a name");
    return this.#next().text;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: "end", text: "the end", line: 0 };
  }
  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }
  #is(mark: string): boolean {
    return this.#peek().kind === "mark" && this.#peek().text === mark;
  }
  #take(mark: string): boolean {
    const is = this.#is(mark);
    if (is) this.#at++;
    return is;
  }
  #expect(mark: string): void {
    if (!this.#take(mark)) this.#refuse(`"${mark}"`);
  }
  #skipNewlines(): void {
    while (this.#peek().kind === "newline") this.#at++;
  }
  #refuse(expected: string): never {
    const { line, text } = this.#peek();
    throw new SyntaxError(`line ${line}: expected ${expected}, found ${JSON.stringify(text)}`);
  }
}
