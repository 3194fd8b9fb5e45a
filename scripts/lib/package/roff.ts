/** Text for manual pages: the few requests of man(7) that both groff and mandoc know. */

export interface ManualPage {
  readonly name: string;
  readonly section: number;
  /** Of the page's last change, `YYYY-MM-DD`. */
  readonly date: string;
  /** E.g. `holdfast 0.1.0`. */
  readonly source: string;
  /** E.g. `User Commands`. */
  readonly manual: string;
}

/** The first lines of a page. */
export function pageTitle({ name, section, date, source, manual }: ManualPage): string {
  return `.TH ${name.toUpperCase()} ${section} "${date}" "${source}" "${manual}"\n`;
}

/** Text without markup: nothing in it is a request or an escape; hyphens can be copied as such. */
export function plain(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("…", "...")
    .replaceAll("→", "\\->")
    .replaceAll("↔", "<\\->")
    .replaceAll("×", "x")
    .replace(/^(?=[.'])/gm, "\\&");
}

export const bold = (text: string): string => `\\fB${plain(text)}\\fR`;
export const italic = (text: string): string => `\\fI${plain(text)}\\fR`;

/** Lines that are shown as they are. */
export function literal(text: string): string {
  return `.PP\n.nf\n.RS 4\n${plain(text.trimEnd())}\n.RE\n.fi\n`;
}

/** A term and what it means. Both are roff already. */
export function entry(term: string, meaning: string): string {
  return `.TP\n${guarded(term)}\n${guarded(meaning)}\n`;
}

/** A line that begins with a dot only after an escape is no request either. */
function guarded(text: string): string {
  return text.replace(/^(?=[.'])/gm, "\\&");
}
