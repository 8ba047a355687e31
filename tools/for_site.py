"""What the site makes of a notebook: lead-in, doors, named folds, questions that answer, tables.

`for_site` works on the text that Sphinx has read. It changes Markdown cells only: the code that
runs is the code of the source, so that caches, line numbers and "cell 7 stopped the build" fit it.
A fold takes its name from the `#@title` of its cell later, from the page as it has been read.
"""

import json
import re
from pathlib import Path

from docutils import nodes

from tools import chapter_tables, pages, repository
from tools.chapter_rules import LISTS

TITLE = re.compile(r"^# .+\n?", re.M)
FOLD_TITLE = re.compile(r"#@title +(.+?) *(?:\n+|$)")
LEAD_IN = "\n:::{{div}} lead-in\n{words}\n:::\n"
RUN = "[Run it in Colab]({address})"
TIMES = re.compile(r"(\d+)( minutes to read, )(\d+)( for the exercises)")
EACH = r'<span class="times">\1<span>\2</span></span><span class="times">\3<span>\4</span></span>'
DOORS = ":::{{div}} doors\n{doors}\n:::\n\n"
ASKED = re.compile(r"^\*\*Question\.\*\* (.+)\n\n\*\*Answer\.\*\* (.+)$", re.M)
NEED = "**You need.** "
HERE = "](#colab)"  # a link to the page's own notebook in Colab, wherever a page writes it
FIGURE = re.compile(r'\bname="([a-z][a-z0-9-]*)"')
TO_FIGURE = re.compile(r"\[([^\]]+)\]\(#([a-z][a-z0-9-]*)(:[^)\s]*)?\)")
EXERCISES = re.compile(r"^## Exercises$", re.M)
ANSWER_THERE = (
    "*Run it in Colab*, below the first figure, opens this page as a notebook. "
    "There you write your answer in place of `None` and run the cell: one line says if it is right."
)
SCRIPT = '<script type="application/json" class="predict">{data}</script>'
MATH = re.compile(
    r'([(\[“]?)(<span class="math notranslate nohighlight">[^<]*</span>)([.,;:?!)\]”]*)'
)
# myst-nb gives each fold this label, which would hide its own words from a screen reader.
UNNAMED = '<summary aria-label="Toggle hidden content">'


def setup(app):
    app.add_config_value("book_places", {}, "env", [dict])
    app.connect("config-inited", keep_places)
    app.connect("env-get-outdated", outdated)
    app.connect("source-read", rewrite)
    app.connect("doctree-read", name_folds)
    app.connect("html-page-context", open_edition, priority=900)  # the theme's buttons are there
    app.connect("html-page-context", speak_names)
    app.connect("html-page-context", hold_marks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def keep_places(_app, config):
    """A page that is moved changes the lead-in of others: Sphinx reads all again."""
    config.book_places = places()


def outdated(_app, env, _added, _changed, _removed):
    """Notebooks with a table of chapters are read again: its rows stand on other pages."""
    found = [(name, Path(env.doc2path(name))) for name in env.found_docs]
    return [name for name, path in found if path.suffix == ".ipynb" and has_table(path)]


def has_table(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return any(chapter_tables.MARK.search("".join(cell["source"])) for cell in cells)


def rewrite(app, docname, source):
    if str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = for_site(source[0], docname)


def for_site(text, docname):
    """The notebook (its JSON) as the site reads it; `docname` is its path without suffix."""
    notebook = json.loads(text)
    texts = ["".join(cell["source"]) for cell in notebook["cells"]]
    door = any(NEED in source or HERE in source for source in texts)
    figures = set(FIGURE.findall("\n".join(texts)))
    for at, (cell, source) in enumerate(zip(notebook["cells"], texts), 1):
        if cell["cell_type"] != "markdown":
            continue
        if at == 1:
            facts = cell["metadata"].get("chapter", {})
            source = with_lead_in(source, docname, facts, run=not door)
        if source.startswith(NEED):
            source = doors("\n".join(texts)) + source
        source = chapter_tables.fill(source, docname)
        source = with_invitation(source, ANSWER_THERE)
        if questions := cell["metadata"].get("predict"):
            source = with_answers(source, questions, f"{docname}.ipynb cell {at}")
        source = with_figure_links(source, figures)
        cell["source"] = source.replace(HERE, f"]({address(docname)})")
    return json.dumps(notebook, ensure_ascii=False, indent=1)


def address(docname):
    """Where Colab opens the page."""
    return repository.colab(repository.address()[0], docname)


def doors(text):
    """Three ways on from the first figure of a chapter, whose whole text is given."""
    count = len(pages.EXERCISE.findall(text))
    three = ["[Break it](#break-it)", f"[{count} exercises](#exercises)", "[Run it in Colab" + HERE]
    return DOORS.format(doors="\n".join(three))


def places():
    """Where each chapter stands, by its path without suffix: (part, its place, how many)."""
    found = {}
    for part, names in pages.parts():
        chapters = [name for name in names if not name.endswith("/intro")]
        for place, name in enumerate(chapters, 1):
            found[name] = (part, place, len(chapters))
    return found


def lead_in(docname, facts):
    """One line on where a chapter stands and how long it takes; "" for a page that is none."""
    place = places().get(docname)
    if not place or "minutes" not in facts:
        return ""
    part, number, count = place
    reading, exercises = facts["minutes"]
    times = f"{reading} minutes to read, {exercises} for the exercises"
    return f"{part} · page {number} of {count} · {times}"


def with_lead_in(source, docname, facts, *, run):
    """The first cell with the lead-in under its title, which says `run` where no door does.

    Question and answer become one paragraph. A phone has room for the times without their words.
    """
    part = places().get(docname, ("",))[0] if run else ""
    line = TIMES.sub(EACH, lead_in(docname, facts)) or part
    words = " · ".join([line] * bool(line) + [RUN.format(address=address(docname))] * run)
    source = ASKED.sub(r":::{div} lead\n**\1** \2\n:::", source)
    if not words:
        return source
    return TITLE.sub(lambda title: title[0] + LEAD_IN.format(words=words), source, count=1)


def with_figure_links(source, figures):
    """The cell with its links to figures of the page as HTML: Sphinx knows no figure's name."""

    def link(found):
        words, name, position = found.groups(default="")
        return f'<a href="#{name}{position}">{words}</a>' if name in figures else found[0]

    return TO_FIGURE.sub(link, source)


def with_invitation(source, words):
    """The cell with what a reader does here, where its exercises begin."""
    return EXERCISES.sub(lambda heading: f"{heading[0]}\n\n{words}", source)


def with_answers(source, questions, where):
    """The cell with each question's keys and feedback behind its choices, as data for predict.js.

    Raises ValueError where the lists of choices and the data do not match in number.
    """
    found = LISTS.findall(source)
    if len(found) != len(questions):
        raise ValueError(f"{where} has {len(found)} lists of choices, data for {len(questions)}.")
    waiting = iter(questions)

    def with_data(choices):
        data = json.dumps(next(waiting), ensure_ascii=False).replace("<", "\\u003c")
        return f"{choices[0].rstrip()}\n\n{SCRIPT.format(data=data)}\n\n"

    return LISTS.sub(with_data, source)


def name_folds(_app, doctree):
    """Each folded cell is labelled by its `#@title`, and that line is left out of what it shows."""
    for source in list(doctree.findall(nodes.container)):
        if source.get("nb_element") != "cell_code_source":
            continue
        for code in source.findall(nodes.literal_block):
            text = code.astext()
            if title := FOLD_TITLE.match(text):
                source.parent["prompt_show"] = source.parent["prompt_hide"] = title[1]
                code.rawsource = text[title.end() :]  # Sphinx colours a block if both are equal
                code.children = [nodes.Text(code.rawsource)]


def open_edition(_app, page, _template, context, _doctree):
    """The launch button opens what the badge opens: the reader's edition, not the source."""
    groups = [group.get("buttons", []) for group in context.get("header_buttons", [])]
    for button in (button for buttons in groups for button in buttons):
        if button["text"] == "Colab":
            button["url"] = repository.colab(repository.address()[0], page)
            button["icon"] = "fas fa-play"  # the theme's picture weighs 7 kB, on every page


def speak_names(_app, _page, _template, context, _doctree):
    """A screen reader hears what a fold holds."""
    if "body" in context:
        context["body"] = context["body"].replace(UNNAMED, "<summary>")


def hold_marks(_app, _page, _template, context, _doctree):
    """A formula in a line keeps the marks beside it: no line begins with a comma."""
    if "body" in context:
        context["body"] = MATH.sub(_held, context["body"])


def _held(found):
    before, _, after = found.groups()
    return f'<span class="held">{found[0]}</span>' if before or after else found[0]
