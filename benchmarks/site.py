"""The site's weight and speed: `python -m benchmarks.site`, after `make book`.

For each page: kB gzipped of the page and of its live figures, their positions, the seconds that its
cells took when it was built, and the milliseconds from moving a slider to the painted picture in
Chromium. Chromium runs without a frame rate, so that the wait for the next frame is not counted.
"""

import gzip
import json
import statistics
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

from tools import ROOT, pages
from tools import browser as browsers

SITE, TABLE = ROOT / "_build" / "html", Path(__file__).with_name("site.md")

PROBE = Path(__file__).with_name("site_probe.js")
UNTHROTTLED = ("--disable-frame-rate-limit", "--disable-gpu-vsync")
HEAD = ("page", "kB", "figures kB", "positions", "run s", "paint p50 ms", "p95 ms")


def kilobytes(text):
    return len(gzip.compress(text.encode(), mtime=0)) / 1000


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else None


def measure(tab, page, seconds):
    """One row of the table, and the addresses that the page loaded."""
    asked = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((SITE / f"{page}.html").as_uri(), wait_until="load")
    tab.evaluate("() => window.MathJax?.startup?.promise")
    figures = tab.evaluate("probe.figures()")
    times = tab.evaluate("probe.moves(40)")
    html = (SITE / f"{page}.html").read_text("utf-8")
    weights = [kilobytes(figure["html"]) for figure in figures]
    positions = "+".join(str(figure["positions"]) for figure in figures if figure["positions"] > 1)
    row = (page, kilobytes(html), sum(weights), positions, seconds.get(page))
    return (*row, percentile(times, 0.5), percentile(times, 0.95)), times, asked


def first_load(asked):
    """kB gzipped of the local files that a page loads, each once."""
    paths = {Path(unquote(urlparse(url).path)) for url in asked if url.startswith("file:")}
    return sum(len(gzip.compress(path.read_bytes(), mtime=0)) for path in paths) / 1000


def cell(value):
    return "" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def table(rows):
    lines = [HEAD, ["---"] + ["---:"] * (len(HEAD) - 1), *(map(cell, row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def run():
    """The table and its closing lines, as Markdown."""
    log = ROOT / "_build" / "seconds.json"
    seconds = json.loads(log.read_text()) if log.exists() else {}
    rows, moves, loads = [], [], []
    with browsers.browser(*UNTHROTTLED) as browser:
        for page in pages.table_of_contents():
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.add_init_script(path=PROBE)
            row, times, asked = measure(tab, page, seconds)
            rows, moves, loads = [*rows, row], moves + times, [*loads, first_load(asked)]
            tab.close()
    summary = [
        f"First load of the first page: {loads[0]:.0f} kB gzipped, all it needs.",
        f"Slider event to paint, {len(moves)} moves on all pages: p50 {percentile(moves, 0.5):.1f} "
        f"ms, p95 {percentile(moves, 0.95):.1f} ms, mean {statistics.fmean(moves):.1f} ms.",
        f"All chapters ran in {sum(seconds.values()):.0f} s.",
    ]
    return "\n\n".join(["# The site's weight and speed", table(rows), *summary]) + "\n"


if __name__ == "__main__":
    if not (SITE / "index.html").exists():
        sys.exit("benchmarks.site needs the site in _build/html: run make book first.")
    TABLE.write_text(run(), "utf-8")
    print(TABLE.read_text("utf-8"))
