"""A bar chart as SVG: one horizontal bar for each contender, with the range of its rounds; for light and dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from verdicts import Spread

WIDTH, LABELS, FIGURES = 720, 250, 60  #: pixels: of all, of the labels on the left, of the figures on the right
ROW, BAR, TOP = 30, 18, 44  #: pixels: of a row, of the bar in it, above the first one
STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; font-size: 14px; }
.ours { fill: #0969da; } .theirs { fill: #8c959f; } .range { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .ours { fill: #4493f8; } .theirs { fill: #6e7681; } .range { stroke: #e6edf3; }
}"""


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: Spread
    ours: bool = False


def svg(title: str, bars: Sequence[Bar]) -> str:
    """The chart; the longest bar or range fills the width."""
    height = TOP + ROW * len(bars) + 6
    scale = (WIDTH - LABELS - FIGURES) / max(bar.value.most for bar in bars)
    rows = "\n".join(_row(bar, TOP + ROW * n, scale) for n, bar in enumerate(bars))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(title)}">\n<style>\n{STYLE}\n</style>\n'
        f'<text class="title" x="8" y="24">{escape(title)}</text>\n{rows}\n</svg>\n'
    )


def _row(bar: Bar, top: int, scale: float) -> str:
    middle = top + BAR / 2
    least, end, most = (LABELS + value * scale for value in (bar.value.least, bar.value.median, bar.value.most))
    side = "ours" if bar.ours else "theirs"
    return (
        f'<text x="{LABELS - 8}" y="{middle + 4.5}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect class="{side}" x="{LABELS}" y="{top}" width="{end - LABELS:.1f}" height="{BAR}" rx="2"/>'
        f'<line class="range" x1="{least:.1f}" x2="{most:.1f}" y1="{middle}" y2="{middle}"/>'
        f'<text x="{max(end, most) + 6:.1f}" y="{middle + 4.5}">{bar.value.median:,.0f}</text>'
    )
