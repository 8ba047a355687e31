"""The book as two PDFs: with solutions and answers at the end, and without.

`make pdf` runs this file. It needs a Chromium (found as the tests find it), no LaTeX: the built
site becomes one page (tools/paper.py), which is printed with bookmarks and links that work. What
a figure shows is its start position. Each PDF is printed twice, for the numbers in its contents.
"""

import io
import sys
import tempfile
from pathlib import Path

from pypdf import PdfReader
from tqdm import tqdm

from tools import ROOT, paper
from tools import browser as browsers

SITE, FOLDER = ROOT / "_build" / "html", ROOT / "_build" / "pdf"
EDITIONS = {"book-solutions.pdf": "", "book-student.pdf": "paper.withoutAnswers()"}
WIDTH = 673  # pixels of A4 between its margins


def part(_kit, path):
    """Print one edition as a part of the kit: the name of the file says which."""
    write(SITE, path.parent, names=[path.name])


def write(site=SITE, folder=FOLDER, browser=None, names=tuple(EDITIONS)):
    """Print editions of the built `site` into `folder`; {name of the file: its pages}."""
    if browser is None:
        with browsers.browser() as own:
            return write(site, folder, own, names)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place, "book.html")
        whole.write_text(paper.whole(site), encoding="utf-8")
        tab = opened(browser, whole.as_uri())
        counts = {name: edition(tab, EDITIONS[name], folder / name) for name in tqdm(names)}
    tab.close()
    return counts


def opened(browser, address):
    """The page for the printer, its formulas drawn and its answers moved to the end."""
    tab = browser.new_page(color_scheme="light", viewport={"width": WIDTH, "height": 900})
    tab.set_default_timeout(0)  # a whole book takes its time
    tab.emulate_media(media="print")
    tab.goto(address, wait_until="load")
    tab.evaluate("paper.settle()")
    tab.evaluate("paper.arrange()")
    return tab


def edition(tab, step, path):
    """Print one edition to `path`; how many pages it has."""
    tab.evaluate(step)
    tab.evaluate("paper.tidy()")
    draft = PdfReader(io.BytesIO(printed(tab)))
    tab.evaluate("pages => paper.number(pages)", starts(draft))
    path.write_bytes(printed(tab, outline=True, tagged=True))
    return len(draft.pages)


def printed(tab, **more):
    """The PDF of the page as it stands, in bytes."""
    return tab.pdf(prefer_css_page_size=True, print_background=True, **more)


def starts(pdf):
    """{name of a section: the number of the sheet on which it begins}."""
    places = pdf.named_destinations.items()
    return {name.lstrip("/"): pdf.get_destination_page_number(place) + 1 for name, place in places}


def main():
    if not (SITE / "index.html").exists():
        sys.exit(f"print_pdf needs the site in {SITE.relative_to(ROOT)}: run make book first.")
    for name, count in write().items():
        size = (FOLDER / name).stat().st_size / 1e6
        print(f"{(FOLDER / name).relative_to(ROOT)}: {count} pages, {size:.1f} MB.")


if __name__ == "__main__":
    main()
