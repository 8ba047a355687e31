"""The book on paper: two PDFs whose numbers, links and bookmarks lead where they say.

Oracle: pypdf, which reads what Chromium has printed of a site of two pages, written here by hand.
"""

import pytest
from pypdf import PdfReader

from tools import pages, paper, print_pdf, repository

SITE = repository.site(repository.address()[0])
LONG = "x = " + " + ".join(f"number_{k}" for k in range(60))
FIRST = """<h1>Sharp &amp; flat<a class="headerlink" href="#sharp">#</a></h1>
<p>See <a href="two.html#theorem-4">the theorem</a>, <a href="two.html#orbit:alpha=4">a figure</a>,
<a href="two.html#nowhere">a place that is gone</a>,
<a href="gallery.html#orbit:alpha=4">all pictures</a>,
<a href="https://arxiv.org/x">a paper</a>.</p>
<section id="sharp"><h2>Predict</h2><ul><li>the first choice</li></ul>
<script type="application/json" class="predict">{"keys": ["the key of the page"]}</script>
<details class="sd-dropdown"><summary><span>Answer, after you have chosen</span></summary>
<div class="sd-summary-content"><p>The answer is B.</p></div></details></section>"""
SECOND = f"""<h1>Push it</h1><div style="height: 1200px">a tall figure</div>
<div class="proof" id="theorem-4"><p>Theorem 4: it grows.</p></div>
<figure class="live" id="orbit"><svg width="9" height="9"><use href="#sharp"></use></svg></figure>
<details class="admonition hide"><summary>Draw</summary><p>the folded code</p></details>
<details><summary>Why</summary><p>a proof in a fold</p></details>
<div class="exercise" id="ex-one"><p>Exercise 1: find it.</p></div><pre>{LONG}</pre>
<div class="solution dropdown" id="book/two-solution-0"><p class="admonition-title">Solution to
<a href="#ex-one">Exercise 1</a></p><section><p>It is one half.</p></section></div>"""
FRAME = "<!DOCTYPE html><title>A small book</title><article class='bd-article'>{}</article>"


@pytest.fixture(scope="module")
def printed(tmp_path_factory, browser):
    """{name: the PDF} of both editions of the small site."""
    site = tmp_path_factory.mktemp("site")
    (site / "book").mkdir()
    texts = {"one": FIRST, "two": SECOND, "gallery": "<h1>All</h1><p>every picture again</p>"}
    for name, text in texts.items():
        (site / "book" / f"{name}.html").write_text(FRAME.format(text), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        names = [f"book/{name}" for name in texts]
        patch.setattr(pages, "table_of_contents", lambda: names)
        patch.setattr(pages, "parts", lambda: [("The part", names)])
        counts = print_pdf.write(site, site / "pdf", browser)
    found = {name: PdfReader(site / "pdf" / name) for name in counts}
    assert counts == {name: len(pdf.pages) for name, pdf in found.items()}
    return found


def words(pdf, at=None):
    chosen = pdf.pages if at is None else [pdf.pages[at]]
    return " ".join(" ".join(page.extract_text() for page in chosen).split())


def sheet_with(pdf, text, begin=2):
    """The number of the sheet, from 1 on, after cover and contents, on which a text stands."""
    return next(k + 1 for k in range(begin, len(pdf.pages)) if text in words(pdf, k))


def bookmarks(outline):
    """The titles of all bookmarks, whatever their depth."""
    found = (bookmarks(one) if isinstance(one, list) else [one["/Title"]] for one in outline)
    return [title for titles in found for title in titles]


def links(pdf):
    """(sheet on which a link stands, sheet to which it leads or its address) of every link."""
    for at, page in enumerate(pdf.pages, 1):
        for link in (note.get_object() for note in page.get("/Annots", [])):
            if "/URI" in (action := link.get("/A", {})):
                yield at, action["/URI"]
            else:
                place = link.get("/Dest", action.get("/D"))
                place = pdf.named_destinations[place] if isinstance(place, str) else place
                yield at, 1 + pdf.get_destination_page_number(place)


@pytest.mark.slow
@pytest.mark.parametrize("name", print_pdf.EDITIONS)
def test_the_contents_say_where_a_page_begins_and_lead_there(printed, name):
    pdf = printed[name]
    first, second = sheet_with(pdf, "See the theorem"), sheet_with(pdf, "a tall figure")
    contents = words(pdf, 1)
    assert "The part" in contents
    assert f"Sharp & flat {first} Push it {second}" in contents
    assert [to for at, to in links(pdf) if at == 2][:2] == [first, second]
    assert words(pdf, first - 1).startswith(f"{first} ")  # the foot of a sheet is read first
    assert not words(pdf, 0).startswith("1 ")


@pytest.mark.slow
def test_a_link_between_pages_leads_to_its_sheet_and_one_that_leads_nowhere_to_its_page(printed):
    pdf = printed["book-solutions.pdf"]
    first, second = sheet_with(pdf, "See the theorem"), sheet_with(pdf, "a tall figure")
    theorem = sheet_with(pdf, "Theorem 4: it grows")
    assert theorem > second  # the tall figure pushed it to the next
    from_first = [to for at, to in links(pdf) if at == first]
    gallery = f"{SITE}/book/gallery.html#orbit:alpha=4"
    assert from_first[:5] == [theorem, theorem, second, gallery, "https://arxiv.org/x"]


@pytest.mark.slow
def test_solutions_and_answers_stand_at_the_end_and_lead_there_and_back(printed):
    pdf = printed["book-solutions.pdf"]
    end = sheet_with(pdf, "Solutions and answers")
    assert end == sheet_with(pdf, "The answer is B.") == sheet_with(pdf, "It is one half.")
    asked, told = sheet_with(pdf, "Exercise 1: find it"), sheet_with(pdf, "the first choice")
    assert (asked, end) in links(pdf) and (told, end) in links(pdf)
    assert (end, asked) in links(pdf) and (end, told) in links(pdf)


@pytest.mark.slow
def test_the_students_pdf_has_no_answer_and_both_have_the_rest(printed):
    for name, pdf in printed.items():
        text = words(pdf)
        for part in ("the first choice", "Exercise 1: find it", "a proof in a fold", "number_59"):
            assert part in text, name
        assert "the folded code" not in text and "the key of the page" not in text
        assert "every picture again" not in text
        assert "A small book" in pdf.metadata["/Title"]
        assert "Push it" in bookmarks(pdf.outline)
    student = words(printed["book-student.pdf"])
    assert not [x for x in ("answer is B", "one half", "at the end", "Solution") if x in student]
    assert "Without solutions and answers" in student


@pytest.mark.slow
def test_code_wraps_within_the_sheet(printed):
    for page in printed["book-student.pdf"].pages:
        lines = page.extract_text(extraction_mode="layout").split("\n")
        assert max(map(len, lines)) < 140


def test_a_name_of_one_page_is_not_that_of_another():
    known = {"book/a/one": "", "book/two": ""}
    made = paper.article(
        '<article class="x"><p id="here">'
        '<a href="#here">i</a><a href="../two.html#fig:alpha=1">f</a><a href="../two.html">t</a>'
        '<a href="../../_static/x.zip">z</a><path style="fill: url(#clip)"/></p></article>',
        "book/a/one",
        known,
    )
    assert 'id="a-one--here"' in made and 'href="#a-one--here"' in made
    assert 'href="#two--fig"' in made and 'href="#two"' in made
    assert "url(#a-one--clip)" in made
    assert f'href="{SITE}/_static/x.zip"' in made


def test_the_styles_are_those_of_the_page_with_most_of_them_in_its_order(tmp_path):
    sheet = '<link rel="stylesheet" href="{}">'
    texts = {
        "book/one": f"<title>One</title>{sheet.format('book.css')}",
        "book/a/two": sheet.format("../box.css?v=1") + sheet.format("../book.css"),
    }
    made = paper.head(texts, tmp_path)
    box, book = ((tmp_path / "book" / name).as_uri() for name in ("box.css", "book.css"))
    assert made.startswith(f"<title>One</title>{sheet.format(box)}{sheet.format(book)}<style>")
