"""What every page keeps, as rules: each takes a page and yields sentences that name page and cell.

Kept apart from the tests so that a planted fault and a real page go through the same code. What
only chapters keep stands in `tools/chapter_rules.py`.
"""

import ast
import io
import re
import tokenize

from tools import chapter_rules, repository
from tools.pages import CELL_KEYS, FOLDED, KERNEL, TAGS, calls, named_calls, parse, starters, tags


def strays(named, found):
    """A sentence for each page outside the table of contents, or in it and missing, or twice."""
    stems = [path.removesuffix(".ipynb").removesuffix(".md") for path in found]
    for path, stem in zip(found, stems):
        if stem not in named:
            yield f"{path} needs a line in _toc.yml: a page outside it is built by nobody."
    for stem in named:
        if stems.count(stem) == 0:
            yield f"_toc.yml names {stem}, and there is no such page."
        if stems.count(stem) > 1:
            yield f"{stem} is there as .ipynb and as .md: one name, one page."


# Rules for every notebook.


def first_cells(page):
    url, _ = repository.address()
    text = "".join(cell.source for cell in page.cells[:1])
    if not re.match(r"# \S", text):
        yield f"{page.where(1)} needs a title, got {text[:40]!r}."
    if "colab.research.google.com" in text:
        yield f"{page.where(1)} types a Colab badge: the site and the editions add their own."
    second = page.cells[1] if len(page.cells) > 1 else None
    if second is None or second.source != repository.first_cell(url):
        yield f"{page.where(2)} needs the install cell of tools/repository.py, word for word."
    elif not {"remove-cell", "setup"} <= tags(second):
        yield f"{page.where(2)} needs the tags remove-cell and setup, got {sorted(tags(second))}."


def kernel(page):
    given = page.metadata.get("kernelspec", {})
    if (name := given.get("name")) != "python3":
        yield f"{page.name} needs the kernelspec python3, got {name!r}: Colab knows no other."
    if "widgets" in page.metadata:
        yield f"{page.name} holds the state of widgets: `make lint` clears it."
    if {**KERNEL, **given} != KERNEL or len(page.metadata.get("language_info", {})) > 1:
        yield f"{page.name} says which Python ran it: `make lint` clears that."


def no_outputs(page):
    for at, cell in page.code():
        if cell.execution_count is not None:
            yield f"{page.where(at)} has an execution count: `make lint` clears it."
        if cell.outputs and "keep_output" not in tags(cell):
            yield f"{page.where(at)} has outputs: `make lint` clears them, or tag it keep_output."
        if ("NBVAL_CHECK_OUTPUT" in cell.source) != bool(cell.outputs):
            yield f"{page.where(at)} needs both # NBVAL_CHECK_OUTPUT and an output, or neither."


def cells_are_plain(page):
    """A cell is Markdown or code, and holds no picture; its tags and keys are such as are read."""
    for at, cell in enumerate(page.cells, 1):
        if cell.cell_type not in ("markdown", "code"):
            yield f"{page.where(at)} is of the kind {cell.cell_type!r}, which no edition shows."
        if cell.get("attachments"):
            yield f"{page.where(at)} has a picture pasted in: draw it in a code cell."
        for tag in sorted(tags(cell) - TAGS):
            yield f"{page.where(at)} has the tag {tag!r}, which nothing reads."
        for key in sorted(set(cell.metadata) - CELL_KEYS):
            yield f"{page.where(at)} has {key!r} in its metadata, unread: `make lint` clears it."


ONE_HOST = {
    r"^[ \t>]+:{3,}\{.*": "a directive begins its line, or no edition reads it",
    r"\{\{.*?\}\}": "only Sphinx fills that in",
    r"<a [^>]*href=[^\"][^>]*": 'write href="…", so that the link is followed',
    r"^ *\[[^\]\n]+\]: .*": "write the address in the link itself",
    r"!\[[^\n]*|<img [^>]*": "draw pictures in a code cell, so that every host has them",
}


def every_host_reads_it(page):
    """No Markdown that one host alone would show, and no link that the editions would miss."""
    for at, cell in page.markdown():
        for pattern, advice in ONE_HOST.items():
            for found in re.finditer(pattern, _without_code(cell.source), re.M):
                yield f"{page.where(at)} has {found[0].strip()[:40]!r}: {advice}."


def _without_code(text):
    """The text without code and formulas."""
    for pattern in (NOT_PROSE[0], NOT_PROSE[3], *NOT_PROSE[1:3]):
        text = pattern.sub(" ", text)
    return text


def folded_everywhere(page):
    """A cell that the site folds is folded in Jupyter (source_hidden) and in Colab (a form)."""
    for at, cell in page.code():
        if not tags(cell) & FOLDED:
            continue
        if not re.match(r"#@title [A-Z]\S*( \S+)*$", cell.source.partition("\n")[0]):
            yield f"{page.where(at)} needs a first line #@title that says what the cell does."
        hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
        if not hidden or cell.metadata.get("cellView") != "form":
            yield f"{page.where(at)} is folded on the site alone: run python -m tools.fold."


def one_front_door(page):
    for at, cell in page.code():
        for node in ast.walk(parse(cell.source)):
            inside = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers.")
            whole = isinstance(node, ast.Import) and node.names[0].name.startswith("helpers")
            if inside or whole:
                yield f"{page.where(at)} needs `from helpers import …`, got {ast.unparse(node)!r}."


ONE_THREAD = "one-thread"  # the cell that may ask for it: speed alone depends on it


def one_thread(page):
    """The site's numbers come from one thread, and two wait for each other on a busy machine."""
    ids = [cell.get("id") for cell in page.cells]
    asks = any("import torch" in cell.source for _, cell in page.code())
    if asks and ONE_THREAD not in ids:
        yield f"{page.name} needs the cell {ONE_THREAD!r} after its imports: a slider would wait."


def no_raw_interact(page):
    for at, cell in page.code():
        if re.search(r"\binteract(ive|_manual|ive_output)?\s*\(|@interact\b", cell.source):
            yield f"{page.where(at)} uses interact, which is dead on the site: use explore."
        if re.search(r"\bglue\s*\(|import glue", cell.source):
            yield f"{page.where(at)} uses glue, which Jupyter and Colab cannot show: use say."
        settings = r"set_default_dtype|filterwarnings"
        settings += "" if cell.get("id") == ONE_THREAD else "|set_num_threads"
        if re.search(settings, cell.source):
            yield f"{page.where(at)} changes a global setting: the next page would not know."


KNOB = re.compile(r"^\w+_knob\b")


def figures_have_words(page):
    for at, cell in page.code():
        for call in calls(cell.source, {"explore", "still"}):
            given = {keyword.arg for keyword in call.keywords}
            for word in sorted({"name", "caption", "alt"} - given):
                yield f"{page.where(at)}: {call.func.id} needs {word}=, got none."
            sliders = [k.arg for k in call.keywords if KNOB.search(ast.unparse(k.value))]
            if sliders and not given & {"drag", "why"}:
                yield f"{page.where(at)}: slider {sliders[0]} needs drag=, or why= there is none."
            if None in given:
                yield f"{page.where(at)} hides its knobs behind **: links to positions name them."


MOST_DRAWING = 50


def figure_cells_only_draw(page):
    for at, cell in page.code():
        if not list(calls(cell.source, {"explore", "still"})):
            continue
        lines = len(cell.source.splitlines())
        if lines > MOST_DRAWING:
            yield f"{page.where(at)} draws in {lines} lines, and {MOST_DRAWING} are allowed."
        for node in parse(cell.source).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name != "draw":
                yield f"{page.where(at)} defines {node.name} beside draw: measure in another cell."


def figures_stay_alive(page):
    """After Run All a figure still moves: no later cell binds again what its draw reads."""
    trees = [(at, parse(cell.source)) for at, cell in page.code()]
    functions = {
        n.name: n for _, tree in trees for n in tree.body if isinstance(n, ast.FunctionDef)
    }
    later = {}
    for at, tree in reversed(trees):
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name == "draw":
                for name in sorted(_reaches(node, functions) & set(later)):
                    yield f"{page.where(at)} draws with {name}, which cell {later[name]} rebinds."
        later |= {name: at for name in _binds(tree) if name != "draw"}


def _reaches(function, functions):
    """The names that a function takes from outside, and those that what it calls takes."""
    found, new = set(), _reads(function)
    while new:
        found |= new
        called = [functions[name] for name in new if name in functions and name != "draw"]
        new = {name for one in called for name in _reads(one)} - found
    return found


def _reads(function):
    """The names that a function takes from outside itself."""
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    own = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    own |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    return {node.id for node in names} - own


def _binds(tree):
    """The names that the top level of a cell binds."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (alias.asname or alias.name for alias in node.names)
        else:
            inner = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
            hidden = {id(n) for n in ast.walk(node) if isinstance(n, _OWN_SCOPE)}
            scoped = {id(n) for s in ast.walk(node) if id(s) in hidden for n in ast.walk(s)}
            yield from (n.id for n in inner if isinstance(n.ctx, ast.Store) and id(n) not in scoped)


_OWN_SCOPE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
SCRAP = 16  # characters: a shorter piece of a sentence has no line of its own


def sentences_break_at_their_ends(page):
    """A long string is broken between sentences or clauses, not wherever a line was full."""
    for at, cell in page.code():
        tokens = [
            token
            for token in tokenize.generate_tokens(io.StringIO(no_magic(cell.source)).readline)
            if token.type not in (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
        ]
        for before, token, after in zip(tokens, tokens[1:], tokens[2:]):
            joined = tokenize.STRING in (before.type, after.type)
            alone = token.line.strip() == token.string
            if token.type == tokenize.STRING and joined and alone and len(token.string) < SCRAP:
                yield f"{page.where(at)} breaks a sentence at the scrap {token.string}."


def no_magic(source):
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.M)


# A word in parentheses is no link: `[the trace](trace)` lights a curve.
ROLE_OR_LINK = re.compile(r"\{[a-z:]+\}`|\]\((?!https?:)[^)\s]*[./#][^)\s]*\)")


def strings_are_plain_markdown(page):
    for at, cell in page.code():
        for node in ast.walk(parse(cell.source)):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and ROLE_OR_LINK.search(text):
                yield f"{page.where(at)} has a role or a relative link in a string: {text[:40]!r}."


def answers_stay_hidden(page):
    for _, at, cell in starters(page):
        for call in named_calls(cell.source):
            parts = [*call.args, *call.keywords] if call.func.id.startswith("check") else []
            for leaf in (leaf for part in parts for leaf in ast.walk(part)):
                if isinstance(leaf, ast.Constant):
                    yield (
                        f"{page.where(at)} gives {leaf.value!r} to {call.func.id}: truth and hint "
                        "belong in a remove-cell, or the starter gives them away."
                    )


def fences_close(page):
    for at, cell in page.markdown():
        still_open = []
        for line in cell.source.splitlines():
            fence = re.match(r"(:{3,}|`{3,})(.*)", line)
            in_code = bool(still_open) and still_open[-1][0] == "`"
            if fence is None or (in_code and line.strip() != still_open[-1]):
                continue
            if fence[2].strip() or (fence[1][0] == "`" and not in_code):
                still_open.append(fence[1])
            elif still_open and still_open[-1] == fence[1]:
                still_open.pop()
            else:
                yield f"{page.where(at)} closes {fence[1]} where {still_open[-1:]} is open."
        for fence in still_open:
            yield f"{page.where(at)} opens a fence {fence} and never closes it."


BACKTICKS = re.compile(r"^`{3,}\{(prf:[\w-]+|exercise|solution|admonition)", re.M)


def colons_not_backticks(page):
    for at, cell in page.markdown():
        for name in BACKTICKS.findall(cell.source):
            yield f"{page.where(at)} writes {name} with backticks: Colab renders maths in colons."


# Rules for numbers in prose.

NOT_PROSE = [
    re.compile(r"^(`{3,}|~{3,}).*?^\1 *$", re.M | re.S),  # fenced code
    re.compile(r"\$\$.*?\$\$|(?<!\\)\$[^$]+\$|\\\[.*?\\\]|\\\(.*?\\\)", re.S),  # maths
    re.compile(r"^\\begin\{(\w+\*?)\}.*?\\end\{\1\}", re.M | re.S),
    re.compile(r"(`+)[^`]+\1"),  # code and roles
    re.compile(r"^:{3,}.*$|^:[\w-]+:.*$", re.M),  # directives and their options
    re.compile(r"\]\([^)]*\)|<https?://[^>]*>|https?://\S+|href=\"[^\"]*\""),  # addresses
]
MEASURED = re.compile(
    r"\d+\.\d+(?:[eE][-+]?\d+)?|\d[eE][-+]?\d+|\d+\s?(?:%|per cent\b)"
    r"|\d{1,3}(?:,\d{3})+|10[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+|[×x]\s?10\^"
)
NAMED = re.compile(  # what may stand before a number that is a name
    r"(?:§|\b(?:sections?|chapters?|figures?|fig\.|tables?|appendix|equations?|eq\.|claims?|volume"
    r"|versions?|release|python|torch|jupyter book|cc by(?:-sa)?|arxiv:?)"
    r"|\d+(?:\.\d+)*(?:,| and| to|–))\s*[v≥>=]*\s*$",
    re.I,
)
GIVEN = "<!-- given -->"


def prose(text):
    """The text with everything that is not prose blanked out, line for line."""
    for pattern in NOT_PROSE:
        text = pattern.sub(lambda match: "\n" * match[0].count("\n") or " ", text)
    return text


def typed_numbers(text):
    """Each number that looks measured in a Markdown text, unless its line says it is given."""
    for line, source in zip(prose(text).splitlines(), text.splitlines()):
        for match in MEASURED.finditer(line) if GIVEN not in source else ():
            if not NAMED.search(line[: match.start()]):
                yield match[0]


def numbers_come_from_the_run(page):
    for at, cell in page.markdown():
        for number in typed_numbers(cell.source):
            yield f"{page.where(at)} types {number}: say it from the run, or mark {GIVEN}."
    for at, cell in page.code():
        for call in calls(cell.source, {"say"}):
            for number in typed_numbers("\n".join(literals(call))):
                yield f"{page.where(at)} says the typed number {number}: take it from the run."


def literals(call):
    """The literal parts of a call's strings, without what an f-string fills in or how."""
    specs = {id(n.format_spec) for n in ast.walk(call) if isinstance(n, ast.FormattedValue)}
    inside = {id(leaf) for n in ast.walk(call) if id(n) in specs for leaf in ast.walk(n)}
    for node in ast.walk(call):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.value


EVERY_PAGE = (fences_close, colons_not_backticks, numbers_come_from_the_run)
EVERY_NOTEBOOK = (
    *(
        first_cells,
        kernel,
        no_outputs,
        cells_are_plain,
        folded_everywhere,
        one_front_door,
        no_raw_interact,
        one_thread,
    ),
    *(figures_have_words, figure_cells_only_draw, figures_stay_alive),
    *(
        every_host_reads_it,
        sentences_break_at_their_ends,
        strings_are_plain_markdown,
        answers_stay_hidden,
    ),
    *chapter_rules.EXERCISE_RULES,
)


def faults(page):
    """Every sentence about one page."""
    rules = list(EVERY_PAGE if page.name != "book/ledger.md" else EVERY_PAGE[:2])  # made by a run
    if page.name.endswith(".ipynb"):
        rules += EVERY_NOTEBOOK
        rules += chapter_rules.EVERY_CHAPTER if page.is_chapter else ()
    return [sentence for rule in rules for sentence in rule(page)]
