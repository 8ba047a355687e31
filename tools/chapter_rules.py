"""What only chapters keep: their first cell, their questions, their exercises, their times.

Each rule takes a page and yields sentences that name page and cell, as in `tools/contract.py`.
"""

import ast
import re
import statistics

from tools.exercise_index import TITLE
from tools.pages import EXERCISE, calls, is_shown, parse, solutions, starters, tags

SECTIONS = ("Predict", "The claim", "Why it is true", "Break it", "Exercises", "Take away")
MOST_CELL_LINES, MOST_MEDIAN, CELLS, LEAST_EXERCISES = 15, 6, (10, 20), 3
MOST_WORDS, SHORT, LEAST_WRONG = 45, 22, 2
FIRST = re.compile(r"# .+\n\n\*\*Question\.\*\* (.+)\n\n\*\*Answer\.\*\* (.+)\s*")
FACTS = {"short": str, "gives": str, "line": str, "minutes": list}


def first_cell_form(page):
    form = FIRST.fullmatch(page.cells[0].source)
    if form is None:
        yield f"{page.where(1)} needs title, Question and Answer, and nothing else."
    elif (count := len(words(form[1] + " " + form[2]))) > MOST_WORDS:
        yield f"{page.where(1)} asks and answers in {count} words, and {MOST_WORDS} are allowed."
    elif "$" in form[1] + form[2]:
        yield f"{page.where(1)} asks or answers with a formula: set late, it moves the page."
    for name, kind in FACTS.items():
        if not isinstance(page.facts.get(name), kind):
            yield f"{page.where(1)} needs {name} in its metadata under chapter."
    if _stated(page) is None:
        yield f"{page.where(1)} needs two whole numbers as its minutes: to read, for exercises."
    if len(page.facts.get("short", "")) > SHORT:
        yield f"{page.where(1)} needs a shorter name than {page.facts['short']!r}."


def imports_fold(page):
    third = page.cells[2] if len(page.cells) > 2 else None
    if (
        third is None
        or third.cell_type != "code"
        or not third.source.startswith("#@title Imports\n")
    ):
        yield f"{page.where(3)} needs to be the imports, under #@title Imports."
    for at, cell in page.code()[1:]:
        mixed = [isinstance(n, (ast.Import, ast.ImportFrom)) for n in parse(cell.source).body]
        if any(mixed) and (at != 3 or not all(mixed)):
            yield f"{page.where(at)} imports: all imports, and nothing else, stand in cell 3."


def section_order(page):
    heads = re.findall(r"^## +(.+?) *$", page.text(), re.M)
    if tuple(heads) != SECTIONS:
        yield f"{page.name} needs the sections {' · '.join(SECTIONS)}, got {' · '.join(heads)}."


def take_away_form(page):
    last = page.markdown()[-1][1].source
    for part in ("**One honest limit.** ", "**Next.** "):
        if not re.search(rf"^{re.escape(part)}", last, re.M):
            yield f"{page.name} needs a paragraph that begins {part.strip()} in Take away."


def figure_first(page):
    """After the first cell come folded cells, the first figure, and then what a reader needs."""
    for at, cell in enumerate(page.cells[1:], 2):
        if cell.cell_type == "code" and list(calls(cell.source, {"explore", "still"})):
            after = page.cells[at].source if at < len(page.cells) else ""
            if not re.fullmatch(r"\*\*You need\.\*\* .+", after):
                yield f"{page.where(at + 1)} needs to be **You need.** and nothing else."
            return
        if cell.cell_type != "code" or is_shown(cell):
            yield f"{page.where(at)} stands before the first figure: touch first, read after."
            return


def hidden_test(page):
    at, last = page.code()[-1] if page.code() else (0, None)
    if last is None or not {"remove-cell", "test"} <= tags(last):
        yield f"{page.where(at)} needs the tags remove-cell and test: the last one checks the page."
    elif "assert" not in last.source:
        yield f"{page.where(at)} needs an assert: the last cell checks the page's claims."


# Questions.

CHOICE = re.compile(r"^- \*\*([A-Z])\.\*\* ", re.M)
LISTS = re.compile(r"(?:^- \*\*[A-Z]\.\*\* .*\n?(?:^ +\S.*\n?)*)+", re.M)
ANSWER = re.compile(
    r"^(:{3,})\{dropdown\} Answer, after you have chosen\n(\*\*[A-Z].*?)^\1 *$", re.M | re.S
)
SAID = re.compile(r"\*\*([A-Z])\.?\*\*")  # a key, as the fold says it


def questions_are_data(page):
    for at, cell in page.markdown():
        given = cell.metadata.get("predict", [])
        found = [CHOICE.findall(block) for block in LISTS.findall(cell.source)]
        if "## Predict" in cell.source and not given:
            yield f"{page.where(at)} needs metadata predict: keys, and feedback for each choice."
        if given and len(found) != len(given):
            yield f"{page.where(at)} has {len(found)} lists of choices and data for {len(given)}."
        yield from (f"{page.where(at)} {fault}" for fault in _fold_faults(cell.source, given))
        for letters, data in zip(found, given):
            yield from (f"{page.where(at)} {fault}" for fault in _question_faults(letters, data))


def _fold_faults(source, given):
    """The fold of a Predict cell names each key in bold, as the data behind its letters does."""
    fold, keys = ANSWER.search(source), [key for data in given for key in data.get("keys") or ()]
    if given and not fold:
        yield "needs a fold 'Answer, after you have chosen', its key first."
    elif given and (said := SAID.findall(fold[2])) != keys:
        yield f"says {', '.join(said)} in its fold, and its keys are {', '.join(keys)}."


def _question_faults(letters, data):
    feedback = data.get("feedback", {})
    if not data.get("keys") or set(data["keys"]) - set(letters):
        yield f"needs keys among {', '.join(letters)}, got {data.get('keys')}."
    if list(feedback) != letters:
        yield f"needs feedback for {', '.join(letters)}, got it for {', '.join(feedback)}."
    for letter, sentence in feedback.items():
        if len(sentence) < 15 or re.search(r"[$`*]|\]\(", sentence):
            yield f"needs a plain sentence as feedback for {letter}, got {sentence!r}."


# Exercises.


def exercises(page):
    asked = [label for _, label in EXERCISE.findall(page.text())]
    solved = solutions(page)
    if page.is_chapter and len(asked) < LEAST_EXERCISES:
        yield f"{page.name} needs {LEAST_EXERCISES} exercises with labels, got {len(asked)}."
    for label in sorted(set(asked) - set(solved)):
        yield f"{page.name} needs a solution for {label}: a solution-start, and code that runs."
    for label, cells in solved.items():
        if ":class: dropdown" not in page.cells[cells[0] - 1].source:
            yield f"{page.name} needs :class: dropdown on the solution of {label}."
    for title, label in EXERCISE.findall(page.text()):
        if not TITLE.fullmatch(title.strip()):
            yield f"{page.name}: {label} needs a title as 'Core, 5 minutes: name', got {title!r}."
    begun = {label: (at, cell) for label, at, cell in starters(page)}
    for label in asked:
        if label not in begun:
            yield f"{page.name} needs a starter for {label}: a cell that the student fills in."
        elif label in solved:
            yield from _pair_faults(page, label, *begun[label], solved[label])


def _pair_faults(page, label, at, starter, cells):
    """Starter and solution bind the same name, and the same check reads both."""
    asked = list(calls(starter.source, _checks(starter.source)))
    if len(asked) != 1 or not isinstance(asked[0].args[0], ast.Name):
        yield f"{page.where(at)} needs one check_…(NAME) for {label}."
        return
    check, name = asked[0].func.id, asked[0].args[0].id
    inside = [page.cells[k - 1] for k in cells]
    code = "\n".join(cell.source for cell in inside if cell.cell_type == "code")
    if not re.search(rf"^({name}\b.*=|def {name}\()", code, re.M):
        yield f"{page.name}: the solution of {label} needs to bind {name}, as its starter does."
    if not code.rstrip().endswith(f"assert {check}({name})"):
        yield f"{page.name}: the solution of {label} needs to end in assert {check}({name})."
    prose = re.sub(
        r"^:.*$", "", "\n".join(c.source for c in inside if c.cell_type == "markdown"), flags=re.M
    )
    if len(re.findall(r"[.?!:](?:\s|$)", prose)) < 2 or len(words(prose)) < 15:
        yield f"{page.name}: the solution of {label} needs two sentences of reasoning or more."
    made = [call for _, c in page.code() for call in calls(c.source, {"exercise"})]
    own = next((call for call in made if call.args[0].value == label), None)
    if own is None:
        yield f"{page.name} needs exercise({label!r}, …) in a hidden cell."
        return
    given = {word.arg: word.value for word in own.keywords}
    yes_or_no = isinstance(getattr(given.get("truth"), "value", None), bool)  # one wrong is all
    wrong = given.get("wrong")
    if isinstance(wrong, ast.Dict) and len(wrong.keys) < LEAST_WRONG and not yes_or_no:
        yield f"{page.name}: exercise({label!r}, …) needs {LEAST_WRONG} wrong answers or more."


def _checks(source):
    return set(re.findall(r"\bcheck_\w+", source))


# Sizes and times.


def cell_sizes(page):
    solving = {at for cells in solutions(page).values() for at in cells}
    shown = [(at, len(cell.source.splitlines())) for at, cell in page.code() if is_shown(cell)]
    count = len([at for at, _ in shown if at not in solving])
    if not CELLS[0] <= count <= CELLS[1]:
        yield f"{page.name} needs {CELLS[0]} to {CELLS[1]} shown code cells, got {count}."
    for at, lines in shown:
        if lines > MOST_CELL_LINES:
            yield f"{page.where(at)} needs <= {MOST_CELL_LINES} lines, got {lines}."
    median = statistics.median([lines for _, lines in shown] or [0])
    if median > MOST_MEDIAN:
        yield f"{page.name} needs a median of <= {MOST_MEDIAN} shown lines a cell, got {median:g}."


FORMULA = re.compile(r"\$\$.+?\$\$|(?<![\\$])\$[^$\n]+\$", re.S)
RELATION = re.compile(r"[=<>]|\\(?:le|ge|ne|approx|to|propto|sim|mapsto|in)[a-z]*\b")


def words(text):
    """The words of a Markdown text, without formulas and markup."""
    text = re.sub(r"\]\([^)]*\)|^:.*$|<[^>]+>", " ", FORMULA.sub(" ", text), flags=re.M)
    return re.findall(r"[^\W_][\w’'-]*", text)


def reading_minutes(page):
    """How long a reader needs: words/130 + 0.4 a formula + 3 a figure + 0.2 a shown line.

    A formula is a displayed one or one with a relation in it; a letter in a sentence is a word.
    Exercises and their solutions have times of their own.
    """
    solving = {at for cells in solutions(page).values() for at in cells}
    text = re.sub(r"^(:{3,})\{exercise\}.*?^\1$", "", _prose(page, solving), flags=re.M | re.S)
    formulas = [f for f in FORMULA.findall(text) if f.startswith("$$") or RELATION.search(f)]
    code = [(at, cell) for at, cell in page.code() if at not in solving]
    figures = sum(1 for _, cell in code for _ in calls(cell.source, {"explore", "still"}))
    lines = sum(len(cell.source.splitlines()) for _, cell in code if is_shown(cell))
    return len(words(text)) / 130 + 0.4 * len(formulas) + 3 * figures + 0.2 * lines


def _prose(page, solving):
    said = [
        node.value
        for _, cell in page.code()
        for call in calls(cell.source, {"say"})
        for node in ast.walk(call)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n\n".join([cell.source for at, cell in page.markdown() if at not in solving] + said)


def times(page):
    stated = _stated(page)
    if stated is None:  # first_cell_form says so
        return
    read, exercise = reading_minutes(page), sum(minutes(page))
    if not 0.7 * read <= stated[0] <= 1.3 * read:
        yield f"{page.where(1)} states {stated[0]} minutes to read, and the formula {read:.0f}."
    if stated[1] != exercise:
        yield f"{page.where(1)} states {stated[1]} minutes for exercises that add up to {exercise}."


def _stated(page):
    """The two times of a chapter's first cell, None if they are no pair of whole numbers."""
    stated = page.facts.get("minutes")
    whole = isinstance(stated, list) and [type(number) for number in stated] == [int, int]
    return stated if whole else None


def minutes(page):
    """The minutes in the titles of a page's exercises."""
    titles = [title for title, _ in EXERCISE.findall(page.text())]
    return [int(found[1]) for title in titles if (found := re.search(r", (\d+) minutes", title))]


EXERCISE_RULES = (exercises, questions_are_data)
EVERY_CHAPTER = (
    *(first_cell_form, imports_fold, section_order, take_away_form, figure_first),
    *(hidden_test, cell_sizes, times),
)
