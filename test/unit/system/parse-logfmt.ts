/** A logfmt reader by the grammar of go-logfmt (bare words, or JSON strings), to check what our encoder writes. */
export function parseLogfmt(line: string): Map<string, string> {
  const fields = new Map<string, string>();
  const pair = /([^\s="\p{C}]+)=(?:("(?:[^"\\]|\\.)*")|([^\s="\\\p{C}]*))(?: |\n$)/uy;
  while (pair.lastIndex < line.length) {
    const at = pair.lastIndex;
    const [, name, quoted, bare = ""] = pair.exec(line) ?? [];
    if (name === undefined) throw new SyntaxError(`Cannot read logfmt at column ${at + 1} of ${JSON.stringify(line)}`);
    fields.set(name, quoted === undefined ? bare : JSON.parse(quoted));
  }
  return fields;
}
