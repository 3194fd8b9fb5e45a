/** HTML whose values cannot become markup. */

/** Text that is HTML already. */
export interface Markup {
  readonly text: string;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}

/** A template: strings in it are escaped, markup and lists of it are not. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | Markup | readonly Markup[])[]): Markup {
  const texts = values.map((value) =>
    typeof value === "string"
      ? escapeHtml(value)
      : "text" in value
        ? value.text
        : value.map(({ text }) => text).join(""),
  );
  return { text: parts.map((part, index) => part + (texts[index] ?? "")).join("") };
}
