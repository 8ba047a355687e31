"""Tables of words with many columns, whose cells stand one below the other on a phone.

Oracle: three tables as docutils writes them, typed here.
"""

import pytest
from bs4 import BeautifulSoup

from tools import tables

LONG = "a sentence of more than thirty characters"


def table(heads, *rows):
    head = "".join(f'<th class="head"><p>{words}</p></th>\n' for words in heads)
    body = "".join(
        '<tr class="row-even">' + "".join(f"<td><p>{w}</p></td>\n" for w in row) + "</tr>\n"
        for row in rows
    )
    return (
        f'<table class="table">\n<thead>\n<tr class="row-odd">{head}</tr>\n</thead>\n'
        f"<tbody>\n{body}</tbody>\n</table>"
    )


def made(text):
    context = {"body": f"<p>Before.</p>\n{text}\n<p>After.</p>"}
    tables.name_cells(None, "page", "page.html", context, None)
    return context["body"]


def test_each_cell_of_a_wide_table_of_words_is_named_by_its_column():
    rows = [["1", "2", "3", LONG], ["5", "6", "7", "8"]]
    text = table(["a", "<em>b</em>", "c &amp; d", 'e "f"'], *rows)
    page = BeautifulSoup(made(text), "html.parser")
    assert page.table["class"] == ["table", "stacked"]
    assert [cell["data-head"] for cell in page.select("td")] == 2 * ["a", "b", "c & d", 'e "f"']
    assert [cell.text.strip() for cell in page.select("td")] == [w for row in rows for w in row]


def test_an_empty_cell_has_no_name_to_show():
    page = BeautifulSoup(made(table(list("abcd"), ["1", "", "", LONG])), "html.parser")
    cells = page.select("td")
    assert [cell.get("data-head") for cell in cells] == ["a", None, None, "d"]
    assert [cell.has_attr("data-empty") for cell in cells] == [False, True, True, False]


@pytest.mark.parametrize(
    ("heads", "row"), [("abc", ["1", "2", LONG]), ("abcd", ["1.5", "2", "3", "4"])]
)
def test_three_columns_or_numbers_alone_stay_a_table(heads, row):
    text = table(list(heads), row)
    assert text in made(text)


def test_a_page_without_a_body_is_left_alone():
    context = {}
    tables.name_cells(None, "search", "search.html", context, None)
    assert context == {}
