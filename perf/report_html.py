#!/usr/bin/python3
"""The report of a benchmark run as one page that needs nothing else: no network, no script.

    perf/report_html.py report.json report.html"""
import json
import pathlib
import sys

from markup import element, to_text
from report_sections import SECTIONS, anything, paragraph, table

STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfb; --ink: #1b1f24; --soft: #5a6472; --rule: #d9dde3; --shade: #f0f2f5;
  --bad: #b3261e; --s0: #0b62b5; --s1: #d97706; --s2: #2e8b57; --s3: #b0418a; --s4: #6b5fb5; --s5: #7a6a55; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e6e9ed; --soft: #a3adba; --rule: #363d46;
  --shade: #1f242a; --bad: #ff8a80; --s0: #5aa9f7; --s1: #f2a541; --s2: #63c08c; --s3: #e487c3; --s4: #a99df0;
  --s5: #c4b08f; } }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 1.5rem; max-width: 1340px; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 2.4rem 0 .4rem; padding-top: .8rem;
  border-top: 2px solid var(--rule); } h3 { font-size: 1rem; margin: 1.2rem 0 .5rem; }
p, li { max-width: 62rem; } a { color: var(--s0); } nav a { margin-right: 1.2rem; }
.bad { color: var(--bad); font-weight: 600; } .soft { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; } dt { color: var(--soft); } dd { margin: 0; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 1.6rem; align-items: flex-start; }
svg { max-width: 100%; height: auto; }
svg text { font: 11px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink); }
svg .heading { font-size: 12.5px; font-weight: 600; } svg .unit, svg .tick { fill: var(--soft); font-weight: 400; }
.grid { stroke: var(--rule); } .axis { stroke: var(--soft); } .spread { stroke: var(--ink); stroke-width: 1.2; }
.line { fill: none; stroke-width: 2; } .pale { opacity: .55; }
.fill.s0 { fill: var(--s0); } .fill.s1 { fill: var(--s1); } .fill.s2 { fill: var(--s2); } .fill.s3 { fill: var(--s3); }
.fill.s4 { fill: var(--s4); } .fill.s5 { fill: var(--s5); }
.line.s0 { stroke: var(--s0); } .line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); }
.line.s3 { stroke: var(--s3); } .line.s4 { stroke: var(--s4); } .line.s5 { stroke: var(--s5); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: top; }
td { white-space: nowrap; } thead th { vertical-align: bottom; background: var(--shade); font-weight: 600; }
th:first-child { text-align: left; } tbody th { font-weight: 400; white-space: nowrap; }
tbody tr:hover { background: var(--shade); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--shade); padding: .6rem; font-size: 12px; }
summary { cursor: pointer; } summary h3 { display: inline-block; }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --soft: #444; --rule: #bbb; --shade: #f4f4f4;
  --bad: #900; --s0: #0b62b5; --s1: #d97706; --s2: #2e8b57; --s3: #b0418a; --s4: #6b5fb5; --s5: #7a6a55; }
  body { padding: 0; max-width: none; font-size: 10pt; } svg, tr { break-inside: avoid; } nav { display: none; }
  .scroll { overflow: visible; } table { font-size: 7pt; } th, td { padding: .1rem .25rem; } td, tbody th { white-space: normal; }
  .fill, .line, thead th { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""


def facts(report):
    about = report.get("machine") or {}
    told = [("date", report.get("date")), ("revision", report.get("revision")),
            ("CPU", f"{about.get('cpu', '?')}, {about.get('cores', '?')} cores"),
            ("of its instructions", " ".join(about.get("flags") or []) or "none of those that matter here"),
            ("memory", about.get("memory")), ("kernel", about.get("kernel")),
            ("load before", f"{about['load_before']:.2f} (well above 0: something else took the cores meanwhile)"
             if isinstance(about.get("load_before"), (int, float)) else None),
            ("versions", ", ".join(f"{k} {v}" for k, v in (report.get("versions") or {}).items()))]
    return element("dl", None, *(e for name, value in told if value
                                 for e in (element("dt", None, name), element("dd", None, value))))


def outcome(parts):
    return table("the parts of this run", ["part", "outcome", "seconds", "command"], [
        [name, p.get("status", "?") + (f": {p['detail']}" if p.get("detail") else ""), p.get("seconds"),
         " ".join(map(str, p.get("command") or []))] for name, p in parts.items()])


def section(name, part, problems):
    title, draw = SECTIONS.get(name, (name, anything))
    made = [element("h2", {"id": f"part-{name}"}, f"{name}: {title}" if title != name else name)]
    if part.get("status") != "ok":
        made.append(element("p", {"class": "bad"}, f"{part.get('status', '?')}: {part.get('detail', '')}"))
        if part.get("said"):
            made.append(element("pre", None, part["said"]))
    result = part.get("result")
    if result is None:
        return made + [paragraph("There are no figures.")]
    try:
        return made + draw(result)
    except Exception as e:  # pylint: disable=broad-except  # whatever a part has written: the page is to come
        problems.append(f"{name}: its figures are not as expected: {type(e).__name__}: {e}")
        return made + [element("p", {"class": "bad"}, problems[-1]), *anything(result)]


def page(report):
    """The page, and what was wrong with the report."""
    problems, parts = [], report.get("parts") or {}
    body = [element("h1", None, "plutonium: benchmark report"), facts(report)]
    if report.get("quick"):
        body.append(element("p", {"class": "bad"}, "A quick run with small numbers: for a look, not for figures."))
    body.append(element("nav", {"aria-label": "parts"}, *(element("a", {"href": f"#part-{n}"}, n) for n in parts)))
    body.append(outcome(parts))
    for name, part in parts.items():
        body.append(element("section", None, *section(name, part, problems)))
    body.append(element("p", {"class": "soft"}, "How to read and repeat this: docs/performance.md. The figures are in "
                        "report.json beside this page."))
    root = element("html", {"lang": "en"}, element(
        "head", None, element("meta", {"charset": "utf-8"}), element(
            "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", None, f"plutonium benchmarks, {report.get('date', '')}"), element("style", None, STYLE)),
        element("body", None, element("main", None, *body)))
    return "<!DOCTYPE html>\n" + to_text(root) + "\n", problems


def write(report, path):
    text, problems = page(report)
    path.write_text(text, encoding="utf-8")
    return problems


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} report.json report.html")
    problems = write(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), pathlib.Path(sys.argv[2]))
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
