/** Links and anchors of Markdown, as GitHub shows it. */

/** The text without what stands in fences and code spans. */
function prose(markdown: string): string {
  return markdown.replaceAll(/^( *)```[^\n]*\n[\s\S]*?^\1```$/gm, "").replaceAll(/`[^`\n]*`/g, "code");
}

/** Of headings, numbered where one stands again, and of `<a id="…">`. */
export function markdownAnchors(markdown: string): ReadonlySet<string> {
  const anchors = new Set([...markdown.matchAll(/<a id="([^"]+)"/g)].map(([, id = ""]) => id));
  const seen = new Map<string, number>();
  const withoutFences = markdown.replaceAll(/^( *)```[^\n]*\n[\s\S]*?^\1```$/gm, "");
  for (const [, title = ""] of withoutFences.matchAll(/^#{1,6} (.*)$/gm)) {
    const slug = title
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    anchors.add(times === 0 ? slug : `${slug}-${times}`);
  }
  return anchors;
}

/** The targets of links and pictures, in their order. */
export function markdownLinks(markdown: string): string[] {
  return [...prose(markdown).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g)].map(([, target = ""]) => target);
}
