"""Tables: each row is named by its first cell, as a screen reader says it.

Tables of words with many columns: on a phone their cells stand one below the other.

Each cell of such a table gets the head of its column, which book.css writes before it. A table of
numbers stays one, since its columns are compared, and so does a table of three columns.
"""

import html
import itertools
import re

TABLE = re.compile(r'<table class="table">\n<thead>.*?</table>', re.S)
HEAD = re.compile(r"<th\b[^>]*>(.*?)</th>", re.S)
CELL = re.compile(r"<td\b[^>]*>(.*?)</td>", re.S)
FIRST = re.compile(r'(<tr class="row-\w+">)<td\b([^>]*>)(.*?)</td>', re.S)
TAG = re.compile(r"<[^>]+>")
COLUMNS, LONG = 3, 30  # characters of a cell: longer ones are words


def setup(app):
    app.connect("html-page-context", name_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def name_cells(_app, _page, _template, context, _doctree):
    if "body" in context:
        context["body"] = TABLE.sub(lambda table: FIRST.sub(_row, _stacked(table)), context["body"])


def _row(found):
    """The begin of a row, whose first cell is its head if it says something."""
    row, rest, words = found.groups()
    return f'{row}<th scope="row"{rest}{words}</th>' if _words(words) else found[0]


def _stacked(found):
    heads, cells = ([_words(cell) for cell in kind.findall(found[0])] for kind in (HEAD, CELL))
    if len(heads) <= COLUMNS or max(map(len, cells), default=0) <= LONG:
        return found[0]
    names = itertools.cycle(heads)
    table = CELL.sub(lambda cell: _named(cell[0], next(names)), found[0])
    return table.replace('class="table"', 'class="table stacked"', 1)


def _named(cell, name):
    """The cell with its column's head; an empty one is told, and a phone leaves it out."""
    return cell.replace("<td", f'<td data-head="{name}"' if _words(cell) else "<td data-empty", 1)


def _words(cell):
    text = html.unescape(TAG.sub("", cell)).strip()
    return html.escape(text)
