"""The report's plots: bars with their spread, and lines, as SVG that takes its colours from the page.

Our own code, since what plots need here is little, and what the packaged libraries write does not fit: matplotlib's SVG
fixes its colours (no dark page, no print), carries no text for a screen reader and brings numpy; pygal's brings a script
that it fetches from the network."""
import dataclasses
import math
import typing

from markup import element, svg

SERIES = 6  # colours, and marks of points, that the page's style knows
CHARACTER = 6.1  # width of one at the font size of the plots, on average
ROW, BAR = 19, 12


@dataclasses.dataclass
class Spread:
    """A median with the lowest and the highest that was measured."""
    median: float
    low: float
    high: float

    @staticmethod
    def of(value):
        """From a number, or from {"median": ..., "min": ..., "max": ...}; None when it is neither."""
        if isinstance(value, dict):
            value = (value.get("median"), value.get("min"), value.get("max"))
        else:
            value = (value, value, value)
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) or not math.isfinite(v) for v in value):
            return None
        return Spread(*value)

    def text(self):
        if self.low == self.high:
            return short(self.median)
        return f"{short(self.median)} ({short(self.low)}\N{EN DASH}{short(self.high)})"


@dataclasses.dataclass
class Bar:
    label: str
    value: typing.Optional[Spread]  # None: there is no figure, and `note` says why
    series: int = 0
    pale: bool = False
    note: str = ""


@dataclasses.dataclass
class Line:
    name: str
    points: list  # of (x, Spread)
    series: int = 0
    marks: bool = True


def short(value):
    """A number as one reads it: three digits that count, thousands apart."""
    size = abs(value)
    if size >= 1e7:
        return f"{value / 1e6:,.0f} M"
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    if size == 0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(size)))}f}"


def round_number(value):
    return f"{value:,.0f}" if value >= 1e4 else f"{value:g}" if value < 1000 else f"{value:,g}"


def ticks(most, wanted=4):
    """Round numbers from 0 to at most `most`."""
    if most <= 0:
        return [0]
    step = 10 ** math.floor(math.log10(most / wanted))
    step *= next(m for m in (1, 2, 5, 10) if most / (step * m) <= wanted)
    return [step * i for i in range(int(most / step + 1e-9) + 1)]


def text(x, y, content, kind="", anchor="start"):
    return element("text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor, "class": kind or "label"}, content)


def rule(x1, y1, x2, y2, kind):
    return element("line", {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}", "class": kind})


def cut(label, characters):
    return label if len(label) <= characters else label[:characters - 1] + "\N{HORIZONTAL ELLIPSIS}"


def describe(bars, unit):
    return "; ".join(f"{b.label}: {b.value.text() + ' ' + unit if b.value else b.note or 'no figure'}" for b in bars)


def bars(title, rows, unit, width=390, spread_text=True):
    """Lying bars, from 0; a thin line from the lowest to the highest; the figure behind it, and the spread where there is
    room for it."""
    left = min(190, 16 + CHARACTER * max([len(r.label) for r in rows], default=0))
    figures = [r.value for r in rows if r.value]
    written = Spread.text if spread_text else lambda f: short(f.median)
    right = 14 + CHARACTER * max([len(written(f)) for f in figures], default=0)
    most = max([f.high for f in figures], default=0) or 1
    top, room = 24, max(60, width - left - right)
    bottom = top + ROW * len(rows)
    drawn = [element("text", {"x": "0", "y": "13", "class": "heading"}, title,
                     element("tspan", {"class": "unit"}, f"  {unit}"))]
    taken = -1000.0
    for tick in ticks(most, 3):
        x, label = left + tick / most * room, round_number(tick)
        drawn.append(rule(x, top, x, bottom, "grid"))
        if x - CHARACTER * len(label) / 2 > taken + 4:
            taken = x + CHARACTER * len(label) / 2
            drawn.append(text(x, bottom + 12, label, "tick", "middle"))
    for i, row in enumerate(rows):
        drawn.append(bar(row, top + ROW * i, left, room, most, unit, written))
    drawn.append(rule(left, top, left, bottom, "axis"))
    return svg(width, bottom + 18, f"{title}, {unit}", describe(rows, unit), *drawn)


def bar(row, y, left, room, most, unit, written):
    middle = y + ROW / 2
    parts = [text(left - 6, middle + 4, cut(row.label, int((left - 6) / CHARACTER) + 1), "label", "end")]
    if row.value:
        low, end, high = (left + v / most * room for v in (row.value.low, row.value.median, row.value.high))
        parts.append(element("rect", {"x": f"{left:.1f}", "y": f"{middle - BAR / 2:.1f}", "height": f"{BAR}",
                                      "width": f"{max(end - left, 1):.1f}",
                                      "class": f"fill s{row.series % SERIES}" + (" pale" if row.pale else "")}))
        if high > low:
            parts += [rule(low, middle, high, middle, "spread"), *(rule(x, middle - 3, x, middle + 3, "spread")
                                                                   for x in (low, high))]
        parts.append(text(max(high, end) + 6, middle + 4, written(row.value), "value"))
    else:
        parts.append(text(left + 6, middle + 4, cut(row.note or "no figure", int(room / CHARACTER)), "tick"))
    hint = f"{row.label}: {row.value.text() + ' ' + unit if row.value else row.note}"
    return element("g", None, element("title", None, hint), *parts)


class Axes:
    """From x and y, in units, to places in the picture."""

    def __init__(self, lines, log_x, width, height, y_most=None):
        xs = [x for line in lines for x, _ in line.points] or [1]
        self.log_x = log_x and min(xs) > 0
        self.first, self.last = min(xs), max(xs)
        self.most = y_most or (max([s.high for line in lines for _, s in line.points], default=0) or 1) * 1.08
        self.left, self.right, self.top, self.bottom = 54, width - 16, 28, height - 34

    def x(self, value):
        if self.last == self.first:
            return (self.left + self.right) / 2
        if self.log_x:
            share = math.log(value / self.first) / math.log(self.last / self.first)
        else:
            share = (value - self.first) / (self.last - self.first)
        inner = 14 if self.log_x else 0
        return self.left + inner + share * (self.right - self.left - 2 * inner)

    def y(self, value):
        return self.bottom - value / self.most * (self.bottom - self.top)

    def draw(self, xs, x_unit):
        drawn = []
        for tick in ticks(self.most):
            y = self.y(tick)
            drawn += [rule(self.left, y, self.right, y, "grid"), text(self.left - 6, y + 4, round_number(tick), "tick", "end")]
        marks = sorted(set(xs)) if self.log_x else [t for t in ticks(self.last, 6) if t >= self.first]
        taken = -1000
        for tick in marks:
            x = self.x(tick)
            if x - taken > 34:
                taken = x
                drawn.append(text(x, self.bottom + 14, round_number(tick), "tick", "middle"))
                drawn.append(rule(x, self.bottom, x, self.bottom + 3, "axis"))
        drawn.append(text(self.right, self.bottom + 28, x_unit, "unit", "end"))
        return drawn + [rule(self.left, self.bottom, self.right, self.bottom, "axis")]


def mark(series, x, y):
    kind = {"class": f"fill s{series % SERIES}"}
    shapes = ((-4, -4, 4, -4, 4, 4, -4, 4), (0, -5, 5, 4, -5, 4), (0, -6, 5, 0, 0, 6, -5, 0))
    if series % SERIES == 0:
        return element("circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "4", **kind})
    shape = shapes[(series % SERIES - 1) % len(shapes)]
    corners = " ".join(f"{x + shape[i]:.1f},{y + shape[i + 1]:.1f}" for i in range(0, len(shape), 2))
    return element("polygon", {"points": corners, **kind})


def line_group(line, axes, unit, x_unit):
    places = [(axes.x(x), axes.y(s.median)) for x, s in line.points]
    group = [element("title", None, line.name)]
    group.append(element("polyline", {"points": " ".join(f"{x:.1f},{y:.1f}" for x, y in places),
                                      "class": f"line s{line.series % SERIES}"}))
    for (value_x, s), (x, y) in zip(line.points, places):
        if not line.marks:
            break
        if s.high > s.low:
            group.append(rule(x, axes.y(s.low), x, axes.y(s.high), "spread"))
        group.append(element("g", None, element(
            "title", None, f"{line.name}, {short(value_x)} {x_unit}: {s.text()} {unit}"), mark(line.series, x, y)))
        group.append(text(x, y - 8, short(s.median), "value", "middle"))
    return element("g", None, *group)


def lines(title, curves, unit, x_unit, log_x=True, y_most=None, width=430, height=230):
    """y from 0. A legend where there is more than one line."""
    curves = [c for c in curves if c.points]
    legend = []
    if len(curves) > 1:
        for i, curve in enumerate(curves):
            y = height + 12 + 17 * i
            legend += [rule(54, y - 4, 78, y - 4, f"line s{curve.series % SERIES}"), mark(curve.series, 66, y - 4),
                       text(84, y, cut(curve.name, 52))]
    axes = Axes(curves, log_x, width, height, y_most)
    drawn = [element("text", {"x": "0", "y": "13", "class": "heading"}, title,
                     element("tspan", {"class": "unit"}, f"  {unit}"))]
    drawn += axes.draw([x for c in curves for x, _ in c.points], x_unit)
    drawn += [line_group(c, axes, unit, x_unit) for c in curves]
    told = "; ".join(f"{c.name}: " + ", ".join(f"{short(s.median)} at {short(x)}" for x, s in thinned(c.points))
                     for c in curves)
    total = height + (17 * len(curves) + 4 if len(curves) > 1 else 0)
    return svg(width, total, f"{title}, {unit} over {x_unit}", told, *drawn, *legend)


def thinned(points, most=12):
    step = max(1, math.ceil(len(points) / most))
    return points[::step]
