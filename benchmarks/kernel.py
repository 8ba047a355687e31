"""How long a slider move takes in a running kernel: `python -m benchmarks.kernel [page …]`.

Every chapter is run as a reader runs it, then each of its live figures is moved to other positions;
the time goes from the widget's new value to the new picture and words, torch and matplotlib
included, without the browser's own painting.
"""

import json
import re
import statistics
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tools import ROOT, pages

TABLE = Path(__file__).with_name("kernel.md")

MOVE = """
import gc, json, random, time
def milliseconds(live, moves=20):
    order, times = random.Random(0), []
    while live.controls and len(times) < moves:
        control = order.choice(list(live.controls.values()))
        value = order.choice([v for _, v in control.options if v != control.value])
        begin = time.perf_counter()
        control.value = value
        times.append(1000 * (time.perf_counter() - begin))
    return times
figures = [thing for thing in gc.get_objects() if type(thing).__name__ == "Live"]
print("MOVES", json.dumps({live.name: milliseconds(live) for live in figures if live.controls}))
"""


def measure(page):
    """Seconds that the chapter's cells take, and the milliseconds of each figure's moves."""
    notebook = nbformat.read(ROOT / f"{page}.ipynb", as_version=4)
    code = nbformat.v4.new_code_cell
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}})
    begin = time.perf_counter()
    notebook.cells = [*notebook.cells, code("'the chapter ends here'"), code(MOVE)]
    ended = []
    client.on_cell_complete = lambda cell, cell_index: ended.append(time.perf_counter())
    client.execute()
    text = "".join(out.get("text", "") for out in notebook.cells[-1].outputs)
    return ended[-2] - begin, json.loads(re.search(r"MOVES (.*)", text)[1])


def run(pages):
    """The table, as Markdown."""
    lines = ["| page | run s | figure | move p50 ms | slowest ms |", "|---|---:|---|---:|---:|"]
    for page in pages:
        seconds, moves = measure(page)
        for k, (name, times) in enumerate(moves.items()):
            first = f"{page} | {seconds:.0f}" if not k else " |"
            middle, most = statistics.median(times), max(times)
            lines.append(f"| {first} | {name} | {middle:.0f} | {most:.0f} |")
            print(lines[-1], flush=True)
    return "\n".join(["# A slider's move in a kernel", "", *lines]) + "\n"


if __name__ == "__main__":
    notebooks = [p for p in pages.table_of_contents() if (ROOT / f"{p}.ipynb").exists()]
    text = run(sys.argv[1:] or notebooks)
    if not sys.argv[1:]:
        TABLE.write_text(text, "utf-8")
