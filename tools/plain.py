"""MyST as plain Markdown that Jupyter, Colab, GitHub and VS Code all render.

Boxes become block quotes with a bold title, folds become <details>, roles and relative links
become links to the site. Code and formulas stay as they are; inside a block quote a formula goes on
one line, because a host would read the `>` of its second line as a relation.
"""

import html
import re
from dataclasses import dataclass, replace

from tools.exercise_index import TITLE
from tools.places import Fault, Places
from tools.works import Works

NOTES = {
    "attention",
    "caution",
    "danger",
    "error",
    "important",
    "note",
    "seealso",
    "tip",
    "warning",
}
PROOFS = {
    *("assumption", "axiom", "conjecture", "corollary", "criterion", "definition", "example"),
    *("algorithm", "lemma", "observation", "proof", "property", "proposition", "remark", "theorem"),
}
ALONE = re.compile(r"(Definition|Theorem|Proposition|Lemma|Corollary|Remark|Consequence)\b")
OPEN = re.compile(r"(:{3,}|`{3,})\{([^}]+)\} *(.*)")
VERBATIM = re.compile(r"(`{3,}|~{3,})")
OPTION = re.compile(r":([\w-]+):.*")
PIECES = re.compile(  # what a text is made of, apart from words
    r"\{(?P<role>[A-Za-z][\w:.-]*)\}(?P<tick>`+)(?P<content>.+?)(?P=tick)(?!`)"
    r"|(?P<code>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<maths>\$\$.+?\$\$|(?<![\\$])\$(?!\s)[^$]+\$|\\begin\{(?P<env>\w+\*?)\}.+?\\end\{(?P=env)\})"
    r"|\]\((?P<link>[^()\s]+)(?P<after>[^()]*)\)"
    r'|(?P<tag><a [^>]*?href=")(?P<href>[^"]+)'
    r"|(?P<comment>[ \t]*<!--.*?-->)"
    r"|(?P<label>^\([^)\n]+\)=[ \t]*\n?)",
    re.S | re.M,
)
FOLD = "<details>\n<summary>{title}</summary>\n\n{body}\n\n</details>"


@dataclass(frozen=True)
class Here:
    """The page that is made plain, and what it needs of the book."""

    page: str  # its path without suffix
    places: Places
    works: Works
    numbers: dict  # the number of each exercise of the page, by its label
    secret: re.Pattern | None = None  # the folds that are left out, by their titles
    quoted: bool = False


def plain(text, here):
    """The text as plain Markdown; raises Fault with a sentence where it cannot be made so."""
    makers = {"code": lambda fence: fence, "text": lambda words: inline(words, here)}
    makers["box"] = lambda parts: box(*parts, here)
    made = (makers[kind](body) for kind, body in blocks(text))
    return "\n\n".join(piece for piece in (one.strip("\n") for one in made) if piece)


def blocks(text):
    """("text", words), ("code", a fence as it is), ("box", (name, title, options, body))."""
    lines, words = text.split("\n"), []
    while lines:
        opening = OPEN.match(lines[0])
        if not opening and not VERBATIM.match(lines[0]):
            words.append(lines.pop(0))
            continue
        yield "text", "\n".join(words)
        words = []
        fence = _fence(lines)
        if opening:
            yield "box", (opening[2], opening[3].strip(), *_options(fence[1:-1]))
        else:
            yield "code", "\n".join(fence)
    yield "text", "\n".join(words)


def _fence(lines):
    """Take from `lines` those of the fence that the first opens, its end included."""
    taken, still_open = [], []
    while lines:
        line = lines.pop(0)
        taken.append(line)
        fence = re.match(r"([:`~]{3,})(.*)", line)
        if fence and still_open and fence[1] == still_open[-1] and not fence[2].strip():
            still_open.pop()
        elif fence and (not still_open or still_open[-1][0] == ":"):
            still_open.append(fence[1])
        if not still_open:
            return taken
    raise Fault(f"the fence {taken[0]!r} is opened and never closed.")


def _options(lines):
    """(options, body) of a directive's lines."""
    options = {}
    while lines and (found := OPTION.fullmatch(lines[0])):
        options[found[1]] = lines.pop(0).split(":", 2)[2].strip()
    return options, "\n".join(lines)


def box(name, title, options, body, here):
    """The Markdown of one directive."""
    if name in ("dropdown", "hint"):
        return fold(title or name.capitalize(), body, here)
    if title == "doors":  # a row of links
        return plain(body, here).replace("\n", " · ")
    if name in ("grid", "div"):
        return plain(body, here)
    if name == "grid-item-card":
        return _item(f"**{inline(title, here)}.** {plain(body, here)}")
    if name in NOTES:
        return _quote(f"**{name.capitalize()}.**", f"{title}\n{body}", here)
    return _quote(f"**{_titled(name, title, options, here)}**", body, here)


def _titled(name, title, options, here):
    """The bold words over a box."""
    kind = name.removeprefix("prf:")
    if name == "exercise":
        return _exercise(title, options.get("label"), here)
    if name == "admonition" or (name.startswith("prf:") and kind in PROOFS):
        alone = name == "admonition" or ALONE.match(title)
        words = title if alone else f"{kind.capitalize()}: {title}" if title else kind.capitalize()
        return _stop(inline(words, here))
    raise Fault(f"the directive {{{name}}} is not known to tools/plain.py: no host would show it.")


def _exercise(title, label, here):
    """ "Exercise 3 (warm-up, 5 minutes): Choose the factor."."""
    found = TITLE.fullmatch(title)
    if found is None:
        raise Fault(
            f"the exercise {label} needs a title like 'Core, 10 minutes: …', got {title!r}."
        )
    level, minutes, words = found.groups()
    number = here.numbers[label]
    return _stop(f"Exercise {number} ({level.lower()}, {minutes} minutes): {inline(words, here)}")


def _stop(words):
    return words if words.endswith((".", "?", "!")) else f"{words}."


def fold(title, body, here):
    """A fold that every host can open, or "" for one that this edition leaves out."""
    if here.secret and here.secret.match(title):
        return ""
    words = html.escape(inline(title, here), quote=False)
    return FOLD.format(title=words, body=plain(body, here))


def _quote(title, body, here):
    inside = plain(body, replace(here, quoted=True))
    return "\n".join(f"> {line}".rstrip() for line in f"{title}\n\n{inside}".split("\n"))


def _item(text):
    return "- " + text.replace("\n", "\n  ")


def inline(text, here):
    """Words with their roles, links and labels made plain; code and formulas as they are."""
    return PIECES.sub(lambda piece: _piece(piece, here), text)


def _piece(piece, here):
    if piece["role"]:
        return role(piece["role"], piece["content"], here)
    if piece["link"]:
        return f"]({here.places.resolve(here.page, piece['link'])}{piece['after']})"
    if piece["tag"]:
        return piece["tag"] + here.places.resolve(here.page, piece["href"])
    if piece["comment"] or piece["label"]:
        return ""
    if piece["maths"] and here.quoted:
        return " ".join(line.strip() for line in piece[0].split("\n"))
    return piece[0]


def role(name, content, here):
    """The Markdown of one role."""
    if name in ("cite", "cite:p", "cite:t"):
        return here.works.cite(name, content)
    if name == "math":
        return f"${content}$"
    words, target = re.fullmatch(r"(?:(.*?) *<)?([^<>]+?)>?", content, re.S).groups()
    if name == "doc":
        address, title = here.places.of_document(here.page, target)
    elif name in ("ref", "numref", "eq", "prf:ref"):
        address, title = here.places.of_label(target)
    else:
        raise Fault(f"the role {{{name}}} is not known to tools/plain.py: no host would show it.")
    return f"[{words or title}]({address})"
