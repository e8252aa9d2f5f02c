"""What the report shows of each part of the benchmark: plots, and under them a table with all figures.

A section takes a part's own JSON and returns elements. It may raise on JSON that it does not understand: the page then shows
the figures as they are."""
import plot
from markup import element
from plot import Bar, Line, Spread, short

THIS = "plutonium"
PEER_SERIES = {THIS: 0, "strongSwan": 1, "libreswan": 2}
PROVIDER_SERIES = {"pluto": 0, "libcrypto": 1, "NSS": 2, "pluto by libcrypto": 3, "intel-ipsec-mb": 4}


def series(known, name):
    """A colour by name, the same in all plots; what is not known gets one of the rest."""
    if name in known:
        return known[name]
    return len(known) + sum(map(ord, name)) % max(1, plot.SERIES - len(known))


def table(caption, head, rows):
    """The first column to the left, as heads of their rows; figures to the right. What a cell is: text, a number, a
    Spread or None."""
    body = [element("tr", None, element("th", {"scope": "row"}, cell(row[0])), *(element("td", None, cell(c))
                                                                                for c in row[1:])) for row in rows]
    return element("div", {"class": "scroll"}, element(
        "table", None, element("caption", None, caption),
        element("thead", None, element("tr", None, *(element("th", {"scope": "col"}, h) for h in head))),
        element("tbody", None, *body)))


def cell(value):
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, Spread):
        return value.text()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return short(value)


def plots(*images):
    return element("div", {"class": "plots"}, *images)


def paragraph(*text):
    return element("p", None, *text)


def unique(values):
    return list(dict.fromkeys(values))


def causes(failed):
    return ", ".join(f"{n} {why}" for why, n in (failed or {}).items())


# ---- compare -------------------------------------------------------------------

COMPARED = (("cpu_ms", "responder's CPU", "ms/tunnel", True), ("bytes", "responder's memory", "bytes/tunnel", True),
            ("per_second", "rate", "tunnels/s", False), ("p99_ms", "p99 of set-up, full load", "ms", True),
            ("p99_paced_ms", "p99 of set-up, paced", "ms", True))


def compare(result):
    rows = result["rows"]
    made = [paragraph(
        "The same load against one responder after the other, each started afresh for every run and warmed up. CPU is the "
        "responder's own, by the scheduler's clock of its threads; memory is what its resident set grew by; rate and p99 "
        f"are those of a load as fast as it goes with {result.get('in_flight', '?')} negotiations under way, both sides "
        f"on this machine's cores; paced: at {result.get('pace', '?')} tunnels a second. Full tunnels (IKE SA and Child "
        "SA); nobody installs SAs. Bars are medians, thin lines go from the lowest run to the highest.")]
    for key, title, unit, less in COMPARED:
        images = []
        for suite in unique(r["suite"] for r in rows):
            chosen = [r for r in rows if r["suite"] == suite]
            images.append(plot.bars(f"{suite}: {title}", [
                Bar(r["responder"], Spread.of(r.get(key)), series(PEER_SERIES, r["responder"]),
                    note=str(r.get("skipped", "no figure"))) for r in chosen], unit))
        made += [element("h3", None, f"{title}, {unit} ({'less' if less else 'more'} is better)"), plots(*images)]
    made += compare_tables(rows)
    notes = [f"{r['suite']}, {r['responder']}: {r['skipped']}" for r in rows if "skipped" in r]
    notes += [f"{what}: {why}" for what, why in (result.get("not_compared") or {}).items()]
    if notes:
        made.append(element("ul", None, *(element("li", None, n) for n in notes)))
    return made


def times(row, rows, key):
    """How often the figure of this project fits into the row's."""
    ours = next((r for r in rows if r["suite"] == row["suite"] and r["responder"] == THIS), None)
    if ours is None or ours is row:
        return ""
    own, theirs = Spread.of(ours.get(key)), Spread.of(row.get(key))
    return f"\N{MULTIPLICATION SIGN}{theirs.median / own.median:.1f}" if own and theirs and own.median > 0 else ""


def compare_tables(rows):
    cost, latency = [], []
    for r in rows:
        name = f"{r['suite']}, {r['responder']}"
        cpu, memory, rate, p99, paced = (Spread.of(r.get(key)) for key, *_ in COMPARED)
        cost.append([name, r.get("version"), r.get("tunnels"), cpu, times(r, rows, "cpu_ms"), memory,
                     times(r, rows, "bytes"), rate, (r.get("cpu_ms") or {}).get("runs")])
        latency.append([name, p99, paced, r.get("established"), r.get("retransmits"), causes(r.get("failed"))])
    ratio = f"\N{MULTIPLICATION SIGN} {THIS}"
    return [table("compare, cost: medians (lowest\N{EN DASH}highest)", [
        "suite, responder", "version", "tunnels", "CPU ms/tunnel", ratio, "bytes/tunnel", ratio, "tunnels/s", "runs"], cost),
            table("compare, latency: medians (lowest\N{EN DASH}highest)", [
                "suite, responder", "p99 ms, full load", "p99 ms, paced", "up, worst run", "retransmits, all runs",
                "failed"], latency)]


# ---- scale ---------------------------------------------------------------------

def scale(result):
    rows = result["rows"]
    good = [r for r in rows if "skipped" not in r["tunnel"]]

    def curve(title, unit, value):
        points = [(r["tunnels"], Spread.of(value(r["tunnel"]))) for r in good]
        return plot.lines(title, [Line(title, [p for p in points if p[1]])], unit, "tunnels", width=340, height=210)
    loads = [(r["load"]["connections"], Spread.of(r["load"]["per_second"])) for r in rows if "skipped" not in r["load"]]
    made = [paragraph(
        f"One fresh responder for each N, {result.get('shards', '?')} shard(s), preshared key with "
        f"{result.get('suite', '?')}, a load as fast as it goes with {result.get('in_flight', '?')} under way; one run "
        "each. Flat is the goal: what a tunnel costs is not to grow with their number. N is drawn by powers of ten."),
        plots(curve("CPU", "ms/tunnel", lambda t: t["cpu_ms"]), curve("memory", "bytes/tunnel", lambda t: t["bytes"]),
              curve("rate", "tunnels/s", lambda t: t["per_second"]),
              curve("liveness checks", "CPU \N{MICRO SIGN}s each", lambda t: t["idle"]["cpu_us_per_check"]),
              curve("--status", "s until all is read", lambda t: t["reports"]["status"]["seconds"]),
              plot.lines("loading connections", [Line("loading", loads)], "a second", "connections", width=340,
                         height=210))]
    return made + scale_tables(rows)


def scale_tables(rows):
    tunnels, rest = [], []
    for r in rows:
        t, load, n = r["tunnel"], r["load"], short(r["tunnels"])
        if "skipped" in t or "skipped" in load:
            tunnels.append([n, "not measured: " + str(t.get("skipped") or load.get("skipped"))])
            continue
        idle, latency = t["idle"], t["latency_ms"]
        tunnels.append([n, t["established"], t.get("left_after_idle"), t["per_second"], t["cpu_ms"], t["bytes"],
                        latency["p50"], latency["p99"], t["retransmits"], causes(t.get("failed"))])
        rest.append([n, *(t["reports"][k]["seconds"] for k in ("status", "trafficstatus", "globalstatus")), idle["dpd_s"],
                     idle["core_percent"], idle["cpu_us_per_check"], load["per_second"], load["cpu_us"], load["bytes"]])
    micro = "\N{MICRO SIGN}s"
    return [table("scale, tunnels: one run for each N", [
        "N", "up", "up after idling", "tunnels/s", "CPU ms/tunnel", "bytes/tunnel", "p50 ms", "p99 ms", "retransmits",
        "failed"], tunnels),
            table("scale, with N tunnels up (reports, liveness), and N connections loaded into another pluto", [
                "N", "status s", "trafficstatus s", "globalstatus s", "liveness period s", "share of a core %",
                f"CPU {micro}/check", "connections loaded/s", f"CPU {micro}/connection", "bytes/connection"], rest)]


# ---- crypto --------------------------------------------------------------------

def crypto(rows):
    made = [paragraph(
        "Drawn is how many operations fit into a second of a thread's CPU time: medians of the runs, with the lowest and "
        "the highest; more is better. The paler bars are two threads at once, each with a state of its own. What all "
        "threads reached together by the wall clock is in the tables: it depends on what else the machine does, and on locks "
        "within a library. A batch is what one call gets at once; libcrypto and NSS have no such call. By pluto is meant what the daemon itself does, with lanes where "
        "it has them; 'both' is a key pair and the shared secret, a responder's whole work.")]
    for kind in unique(r["kind"] for r in rows):
        of_kind = sorted((r for r in rows if r["kind"] == kind), key=lambda r: (
            r["provider"] not in PROVIDER_SERIES, PROVIDER_SERIES.get(r["provider"], 0), r["batch"], r["threads"]))
        names = unique(r["name"] for r in rows if r["kind"] == kind)
        images = [plot.bars(name, [crypto_bar(r) for r in of_kind if r["name"] == name], "operations/CPU second",
                            spread_text=False)
                  for name in names]
        made.append(element("details", {"open": "open"}, element("summary", None, element("h3", None, kind)),
                            plots(*images), crypto_table(kind, [r for n in names for r in of_kind if r["name"] == n])))
    return made


def crypto_bar(r):
    label = r["provider"] + (f", {r['batch']} at once" if r["batch"] > 1 else "") + (
        f", {r['threads']} threads" if r["threads"] > 1 else "")
    return Bar(label, Spread(*(1e6 / max(r[k], 1e-6) for k in ("us_per_operation", "us_max", "us_min"))),
               series(PROVIDER_SERIES, r["provider"]), r["threads"] > 1)


def crypto_table(kind, rows):
    return table(f"{kind}: medians (lowest\N{EN DASH}highest)", [
        "operation", "provider", "batch", "threads", "CPU \N{MICRO SIGN}s/operation", "operations/s", "runs"],
        [[r["name"], r["provider"], r["batch"], r["threads"], Spread(r["us_per_operation"], r["us_min"], r["us_max"]),
          Spread(r["operations_per_second"], r["per_second_min"], r["per_second_max"]), r["runs"]] for r in rows])


# ---- herd ----------------------------------------------------------------------

def herd(result):
    rows = result["rows"]
    good = [r for r in rows if "skipped" not in r]
    curves = []
    for i, r in enumerate(good):
        up = r["up_each_100_ms"]
        points = [(0, Spread(0, 0, 0))] + [(0.1 * (n + 1), Spread.of(v / r["tunnels"] * 100)) for n, v in enumerate(up)]
        curves.append(Line(f"{r['responder']}, {r['tunnels']:,} peers", points, i, marks=False))
    return [paragraph(
        "The responder is killed and started again; all of its peers come back within "
        f"{result.get('window_s', '?')} s (0: truly at once), each with retransmissions of its own. Drawn is the share of them that have a "
        "tunnel again. One run each; both sides on this machine's cores."),
        plots(plot.lines("peers up again", curves, "%", "s since the first began", log_x=False, y_most=100, width=760,
                         height=300)),
        table("herd: one run each", [
            "responder", "version", "peers", "up again", "50 % s", "99 % s", "100 % s", "retransmits",
            "datagrams its socket had no room for", "of what was sent, not needed %", "negotiations in vain %",
            "CPU ms/tunnel", "failed"], [herd_row(r) for r in rows])]


def percent(share):
    return None if share is None else share * 100


def herd_row(r):
    if "skipped" in r:
        return [r["responder"], r.get("version"), r["tunnels"], "not measured: " + str(r["skipped"])]
    after = r["up_after_s"]
    return [r["responder"], r.get("version"), r["tunnels"], r["established"], *(after.get(k) for k in ("50", "99", "100")),
            r["retransmits"], r.get("lost_by_responder"), percent(r.get("extra_share")),
            percent(r.get("init_in_vain_share")), r.get("cpu_ms"), causes(r.get("failed"))]


# ---- flood ---------------------------------------------------------------------

def flood(result):
    rows = result["rows"]
    images = [plot.bars(f"honest peers' set-up, {name}", [
        Bar("beside the flood" if r["case"] == "flood" else str(r["case"]), Spread.of(r["latency_ms"][name]),
            3 if r["case"] == "flood" else 0) for r in rows], "ms") for name in ("p50", "p99", "max")]
    images.append(plot.bars("honest tunnels that came up", [
        Bar("beside the flood" if r["case"] == "flood" else str(r["case"]),
            Spread.of(r["established"] / max(r["begun_by_peers"], 1) * 100), 3 if r["case"] == "flood" else 0)
        for r in rows], "%"))
    return [paragraph(
        f"Honest peers begin {result.get('rate', '?')} tunnels a second, first alone, then beside a flood of well-formed "
        f"IKE_SA_INIT requests from forged addresses. Cookies: {result.get('ddos_mode', '?')}. The flood, the honest peers "
        "and the responder share this machine's cores. One run."),
        plots(*images),
        table("flood: one run", [
            "honest peers", "flood, requests/s", "datagrams taken %", "begun", "up", "p50 ms", "p99 ms", "max ms",
            "retransmits", "responder's CPU, share of a core %", "it waited for a core %", "cookies asked/s", "refused",
            "negotiations it began", "resident bytes", "failed"],
            [[r["case"], (r.get("flood") or {}).get("per_second"), percent(r["taken_share"]), r["begun_by_peers"],
              r["established"], r["latency_ms"]["p50"], r["latency_ms"]["p99"], r["latency_ms"]["max"], r["retransmits"],
              r["core_percent"], r.get("waited_percent"), r["cookies_sent"] / r["seconds"],
              r["refused_half_open"] + r["refused_overload"], r.get("begun"), r.get("resident"), causes(r.get("failed"))] for r in rows])]


# ---- shards --------------------------------------------------------------------

def shards(result):
    rows = result["rows"]

    def bars(title, unit, value):
        return plot.bars(title, [Bar(f"{r['shards']} shard" + ("s" if r["shards"] > 1 else ""), value(r), i)
                                 for i, r in enumerate(rows)], unit)
    first = Spread.of(rows[0]["per_second"]) if rows else None

    def speed_up(r):
        rate = Spread.of(r["per_second"])
        if not rate or not first or first.median <= 0:
            return None
        return Spread(*(v / first.median for v in (rate.median, rate.low, rate.high)))
    return [paragraph(
        "The same load against a fresh pluto with each number of shards, preshared key with "
        f"{result.get('suite', '?')}, {result.get('in_flight', '?')} under way. Speed-up: of the rate, against the first row. "
        "The load generator takes as much of this machine's cores as the responder, so that on few cores no speed-up is to be "
        "expected; CPU paced, at as many tunnels a second for each shard, is what sharding itself costs. Bars are medians, "
        "thin lines go from the lowest run to the highest."),
        plots(bars("speed-up", "times", speed_up), bars("rate", "tunnels/s", lambda r: Spread.of(r["per_second"])),
              bars("CPU, full load", "ms/tunnel", lambda r: Spread.of(r["cpu_ms"])),
              bars("CPU, paced", "ms/tunnel", lambda r: Spread.of(r.get("paced_cpu_ms"))),
              bars("generator's CPU", "ms/tunnel", lambda r: Spread.of(r.get("generator_cpu_ms")))),
        *shard_tables(rows)]


def shard_tables(rows):
    spread = ("per_second", "p99_ms", "cpu_ms", "paced_cpu_ms", "generator_cpu_ms", "waited_ms", "wakeups", "mail_depth",
              "job_depth", "voluntary", "involuntary")
    counters = ("futex", "system_calls", "cycles", "instructions", "cache-misses", "hitm")
    return [table("shards: medians (lowest\N{EN DASH}highest)", [
        "shards", "tunnels", "up, worst run", "of each shard", "speed-up", "tunnels/s", "p99 ms", "CPU ms/tunnel", "more %",
        "CPU ms/tunnel, paced", "more %"],
        [[short(r["shards"]), r["tunnels"], r["established"], ", ".join(map(str, r.get("per_shard") or [])), r["speed_up"],
          Spread.of(r["per_second"]), Spread.of(r["p99_ms"]), Spread.of(r["cpu_ms"]), r.get("cpu_more_percent"),
          Spread.of(r.get("paced_cpu_ms")), r.get("paced_cpu_more_percent")] for r in rows]),
            table("shards, what they do to each other: medians (lowest\N{EN DASH}highest)", [
                "shards", "generator's CPU ms/tunnel", "waited for a core ms/tunnel", "wake-ups/tunnel", "longest queue of mail",
                "of jobs", "switches/tunnel, voluntary", "involuntary", "datagrams handed over", "lost thereby",
                "retransmits", "failed"],
                [[short(r["shards"]), *(Spread.of(r.get(k)) for k in spread[4:]), r.get("handed_over"),
                  r.get("hand_over_lost"), r.get("retransmits"), causes(r.get("failed"))] for r in rows]),
            table("shards, contention, for each tunnel (a run of its own under tracing)", ["shards", *counters],
                  [[short(r["shards"]), *((r.get("contention") or {}).get(k) for k in counters)] for r in rows])]


# ---- whatever else ---------------------------------------------------------------

def flat(value, prefix=""):
    """(name, figure) of all that is in a nested object; a longer list is told by its length."""
    if isinstance(value, dict):
        if Spread.of(value):
            yield prefix, Spread.of(value)
            return
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
        yield prefix, text if len(text) <= 100 else f"{len(value)} values"
    else:
        yield prefix, value


def anything(result):
    """All figures of a part in a table, row by row."""
    rows = result.get("rows") if isinstance(result, dict) else result
    if not isinstance(rows, list) or not rows:
        rows = [result]
    flattened = [dict(flat(r)) for r in rows]
    head = unique(key for r in flattened for key in r)
    return [table("all figures", head, [[r.get(key) for key in head] for r in flattened])] if head else []


SECTIONS = {"crypto": ("What the cryptography costs", crypto),
            "compare": ("Beside its peers", compare),
            "scale": ("One responder, N growing", scale),
            "herd": ("All peers come back at once", herd),
            "flood": ("Honest peers beside a flood", flood),
            "shards": ("More shards", shards)}
