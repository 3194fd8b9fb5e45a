/** The looks of the status page: one sheet, light and dark, wide and narrow. Text contrast is 4.5:1 or more in both. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --line: #dfe3e8; --text: #1b2430; --soft: #56616f; --link: #0b57b0;
  --good: #17693a; --good-back: #e3f4e8; --bad: #a8201a; --bad-back: #fdeae8;
  --wait: #7a4b00; --wait-back: #fdf1d8; --off: #4b5563; --off-back: #eceff3;
  --bar: #2f9e5b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #11151b; --card: #191f27; --line: #2c3440; --text: #e4e9ef; --soft: #9ba7b6; --link: #85b8ff;
    --good: #7fd69c; --good-back: #15301f; --bad: #ff9d94; --bad-back: #3a1a18;
    --wait: #f2c468; --wait-back: #33270f; --off: #b4bfcc; --off-back: #262e39;
    --bar: #3fa868;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif;
  -webkit-text-size-adjust: 100%;
}
header, main, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem .9rem; padding-top: 2rem; }
h1 { margin: 0; font-size: 1.5rem; font-weight: 650; letter-spacing: -.015em; }
h2 { margin: 2rem 0 .6rem; font-size: 1rem; font-weight: 600; }
p { margin: .3rem 0; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: .15em; }
a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 2px; }
.soft { color: var(--soft); }
.summary { margin: .4rem 0 0; color: var(--soft); flex-basis: 100%; }
code { font: .92em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.notice {
  margin: 1.2rem 0 0; padding: .7rem 1rem; border-left: 4px solid var(--bad); border-radius: 0 .4rem .4rem 0;
  background: var(--bad-back); overflow-wrap: anywhere; white-space: pre-wrap;
}
.notice b { color: var(--bad); }
table { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--card);
  border: 1px solid var(--line); border-radius: .6rem; font-variant-numeric: tabular-nums; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
th, td { padding: .65rem .9rem; text-align: left; vertical-align: baseline; }
thead th { color: var(--soft); font-size: .8rem; font-weight: 600; white-space: nowrap; }
tbody tr:not(.more) > * { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; overflow-wrap: anywhere; }
tbody th span { display: block; color: var(--soft); font-weight: 400; font-size: .86rem; }
.number { text-align: right; white-space: nowrap; }
.when { white-space: nowrap; }
.links a { white-space: nowrap; margin-right: .8rem; }
.state { display: inline-block; padding: .05rem .6rem; border-radius: 1rem; font-size: .86rem; font-weight: 600; white-space: nowrap; }
.running { color: var(--good); background: var(--good-back); }
.failing { color: var(--bad); background: var(--bad-back); }
.starting, .restarting { color: var(--wait); background: var(--wait-back); }
.stopping { color: var(--off); background: var(--off-back); }
tr.more td { padding: 0 .9rem .75rem; }
tr.facts dl { display: flex; flex-wrap: wrap; gap: .25rem 1.6rem; margin: -.2rem 0 0; }
tr.facts dt, tr.facts dd { display: inline; margin: 0; overflow-wrap: anywhere; }
tr.facts dt { color: var(--soft); font-size: .86rem; margin-right: .4rem; }
tr.error div { padding: .45rem .8rem; border-left: 3px solid var(--bad); border-radius: 0 .3rem .3rem 0; background: var(--bad-back); }
tr.past div { border-color: var(--line); background: none; color: var(--soft); }
tr.error code { display: block; max-height: 9em; overflow: auto; white-space: pre-wrap; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.answer { margin: -.3rem 0 .7rem; font-size: 1.12rem; }
.timeline tbody th { min-width: 12.5rem; }
.timeline .line { position: relative; width: 44%; padding: 0; vertical-align: middle; }
.timeline svg { overflow: visible; }
.timeline .line > svg { position: absolute; top: 0; left: .9rem; width: calc(100% - 1.8rem); height: 100%; }
.timeline svg.axis { font-size: .8rem; font-weight: 400; }
.timeline text { text-anchor: middle; dominant-baseline: central; fill: var(--soft); }
.timeline text.present { fill: var(--text); font-weight: 600; }
.timeline .grid { stroke: var(--line); }
.timeline .now { stroke: var(--text); stroke-width: 1.5; }
.timeline .bar { fill: var(--bar); }
.timeline .tail { stroke: var(--soft); stroke-width: 2; stroke-dasharray: 1 5; stroke-linecap: round; }
.timeline svg.bad .bar { fill: var(--bad-back); stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 5 3; }
.timeline svg.bad .tail { stroke: var(--bad); stroke-width: 3; stroke-dasharray: 7 4; stroke-linecap: butt; }
.timeline svg.wal .bar { fill: var(--off-back); stroke: var(--off); }
.timeline tbody th, .timeline tbody tr:not(.more) td { vertical-align: middle; }
.timeline time span { display: block; color: var(--soft); font-size: .86rem; }
tr.detail div { margin-top: -.35rem; color: var(--soft); font-size: .92rem; overflow-wrap: anywhere; }
.timeline .bad tr.detail div { color: var(--bad); }
.empty { padding: 2rem; text-align: center; color: var(--soft); background: var(--card); border: 1px dashed var(--line); border-radius: .6rem; }
footer { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; padding-top: 1.4rem; padding-bottom: 2.5rem; font-size: .9rem; }
footer .soft { flex-basis: 100%; overflow-wrap: anywhere; }
@media (max-width: 52rem) {
  header, main, footer { padding-left: 1rem; padding-right: 1rem; }
  header { padding-top: 1.2rem; }
  table, tbody, tr, th, td { display: block; }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table { background: none; border: 0; }
  tbody { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; margin-bottom: .8rem; padding: .5rem 0; }
  tbody tr:not(.more) > * { border: 0; }
  tbody th, tbody td, tr.more td { padding: .22rem 1rem; }
  tbody td.number { text-align: left; }
  tbody th { font-size: 1.05rem; }
  tbody tr:not(.more) td { display: grid; grid-template-columns: 8rem 1fr; }
  tbody tr:not(.more) td::before { content: attr(data-label); color: var(--soft); }
  tr.error td { padding: .4rem 1rem .5rem; }
  tr.facts dl { margin: .2rem 0; gap: .15rem 1rem; }
  .state { justify-self: start; }
  .links > span { display: flex; flex-wrap: wrap; }
  .timeline thead { display: block; position: static; width: auto; height: auto; clip-path: none; }
  .timeline thead th:not(.line) { display: none; }
  .timeline thead th.line, .timeline tbody tr td.line { display: block; width: auto; padding: 0 1rem; }
  .timeline .line > svg { position: static; display: block; width: 100%; height: 2.4rem; }
  .timeline tbody td.when { white-space: normal; }
  .timeline tr.detail div { margin-top: 0; padding-bottom: .3rem; }
}
@media print { body { background: none; } .notice, .state { border: 1px solid var(--line); } }
`;
