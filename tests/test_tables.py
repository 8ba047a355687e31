"""Each row of a table is named; tables of words stand one cell below the other on a phone.

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
    cells = page.select("tbody tr > *")
    assert [cell["data-head"] for cell in cells] == 2 * ["a", "b", "c & d", 'e "f"']
    assert [cell.text.strip() for cell in cells] == [w for row in rows for w in row]


@pytest.mark.parametrize("heads", ["ab", "abcd"])
def test_each_row_is_named_by_its_first_cell_where_that_says_something(heads):
    row = ["1", "2", "3", LONG][: len(heads)]
    page = BeautifulSoup(made(table(heads, row, ["", *row[1:]])), "html.parser")
    named = [[cell.text.strip() for cell in tr.select("th[scope=row]")] for tr in page.select("tr")]
    assert named == [[], ["1"], []]
    assert [tr.find_all(["td", "th"])[0].name for tr in page.select("tbody tr")] == ["th", "td"]


def test_an_empty_cell_has_no_name_to_show():
    page = BeautifulSoup(made(table(list("abcd"), ["1", "", "", LONG])), "html.parser")
    cells = page.select("tbody tr > *")
    assert [cell.get("data-head") for cell in cells] == ["a", None, None, "d"]
    assert [cell.has_attr("data-empty") for cell in cells] == [False, True, True, False]


@pytest.mark.parametrize(
    ("heads", "row"), [("abc", ["1", "2", LONG]), ("abcd", ["1.5", "2", "3", "4"])]
)
def test_three_columns_or_numbers_alone_stay_a_table(heads, row):
    text = table(list(heads), row)
    assert "stacked" not in made(text) and "data-head" not in made(text)


def test_a_page_without_a_body_is_left_alone():
    context = {}
    tables.name_cells(None, "search", "search.html", context, None)
    assert context == {}
