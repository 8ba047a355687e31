"""Print the built site, page by page in reading order, into _build/pdf/book.pdf.

`make pdf` runs this file. It needs a Chromium (found as the tests find it), no LaTeX: what is
printed is what the site shows without a kernel, with each live figure at its start position and
every folded solution open.
"""

import io
import sys

from pypdf import PdfReader, PdfWriter
from tqdm import tqdm

from tools import ROOT
from tools import browser as browsers

SITE, PDF = ROOT / "_build" / "html", ROOT / "_build" / "pdf" / "book.pdf"

# The site's own print.css wraps long lines and its print.js opens the answers; the code of the
# figures, folded on the site, stays out.
PRINT = "details.hide, #jb-print-toc { display: none !important; }"
READY = "() => document.fonts.ready.then(() => window.MathJax?.startup?.promise)"
NEXT = "() => document.querySelector('a.right-next')?.href"
MARGINS = {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}


def pages(tab):
    """Each page's title and PDF, following the site's own links to the next page."""
    # The root only forwards to the first page, so wait for where it lands.
    url = (SITE / "index.html").as_uri()
    while url:
        tab.goto(url, wait_until="load")
        tab.wait_for_selector("h1")
        tab.evaluate(READY)
        tab.add_style_tag(content=PRINT)
        title = tab.inner_text("h1").strip(" #\n")
        yield title, tab.pdf(format="A4", margin=MARGINS, print_background=True)
        url = tab.evaluate(NEXT)


def main():
    if not (SITE / "index.html").exists():
        sys.exit(f"print_pdf needs the site in {SITE.relative_to(ROOT)}: run make book first.")
    whole = PdfWriter()
    with browsers.browser() as browser:
        tab = browser.new_page(color_scheme="light")
        tab.emulate_media(media="print")
        for title, pdf in tqdm(pages(tab), desc="printing", unit="page"):
            start = len(whole.pages)
            whole.append(PdfReader(io.BytesIO(pdf)), import_outline=False)
            whole.add_outline_item(title=title, page_number=start)
    PDF.parent.mkdir(parents=True, exist_ok=True)
    whole.write(PDF)
    print(f"{PDF.relative_to(ROOT)}: {len(whole.pages)} pages.")


if __name__ == "__main__":
    main()
