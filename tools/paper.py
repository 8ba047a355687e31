"""The built site as one page for the printer: every article in reading order, every link inside it.

Each page's names get the page's own name before them, so that `theorem-4` and `#orbit:alpha=4` of
different pages lead to their places in the one page. What is a script on the site is left out; what
a reader without JavaScript would see is what is printed.
"""

import posixpath
import re

from tools import ROOT, pages, repository, version

ARTICLE = re.compile(r"<article\b[^>]*>(.*?)</article>", re.S)
STYLES = re.compile(r'<link [^>]*rel="stylesheet"[^>]*>|<link [^>]*href="[^"]*\.css"[^>]*>')
MATHS = re.compile(r"<script>window\.MathJax.*?</script>|<script [^>]*mathjax[^>]*></script>", re.S)
ADDRESS = re.compile(r'(<(?!a\b)[^>]*?\b(?:src|href)=")(?![a-z]+:|#)([^"]+)')
SCRIPT = re.compile(r"<script\b.*?</script>", re.S)
NAME = re.compile(r'(?<=[\s"])(id="|href="#|xlink:href="#|aria-labelledby=")([^"]+)')
PAINT = re.compile(r"url\(#")
LINK = re.compile(r'(<a\b[^>]*?\bhref=")([^"]*)')
TITLE = re.compile(r"<h1>(.*?)(?:<a class=\"headerlink\".*?)?</h1>", re.S)
ONLY_ON_SCREEN = ("book/gallery",)  # it shows each figure once more
LOOK = ROOT / "tools" / "paper.css"
DRAW = ROOT / "tools" / "paper.js"


def whole(site):
    """One HTML text of the pages of the built `site`, with a cover and a table of contents."""
    names = [name for name in pages.table_of_contents() if name not in ONLY_ON_SCREEN]
    texts = {name: (site / f"{name}.html").read_text("utf-8") for name in names}
    articles = {name: article(text, name, texts) for name, text in texts.items()}
    titles = {name: TITLE.search(text)[1] for name, text in articles.items()}
    body = "".join(
        f'<section class="page bd-article" id="{slug(name)}">{text}</section>'
        for name, text in articles.items()
    )
    return (
        f'<!DOCTYPE html><html lang="en-GB" data-theme="light" data-mode="light">'
        f"<head><meta charset='utf-8'>{head(texts, site)}</head>"
        f"<body>{cover()}{contents(titles)}{body}"
        f'<section class="page bd-article" id="solutions"><h1>Solutions and answers</h1></section>'
        f"<script>{DRAW.read_text('utf-8')}</script></body></html>"
    )


def slug(name):
    """The name of a page inside the one page: book/argument/volume is argument-volume."""
    return name.removeprefix("book/").replace("/", "-")


def head(texts, site):
    """Title of the first page; styles and mathematics of the one that has most, so in its order."""
    title = re.search(r"<title>(.*?)</title>", next(iter(texts.values())), re.S)[0]
    name = max(texts, key=lambda one: len(STYLES.findall(texts[one])))
    home = (site / posixpath.dirname(name)).resolve()

    def absolute(found):
        return found[1] + (home / found[2].partition("?")[0]).resolve().as_uri()

    tags = "".join([*STYLES.findall(texts[name]), *MATHS.findall(texts[name])])
    return f"{title}{ADDRESS.sub(absolute, tags)}<style>{LOOK.read_text('utf-8')}</style>"


def article(text, name, known):
    """One page's article, its names and links made those of the one page."""
    inside = SCRIPT.sub("", ARTICLE.search(text)[1])
    own = f"{slug(name)}--"
    inside = LINK.sub(lambda found: found[1] + target(found[2], name, known), inside)
    inside = NAME.sub(
        lambda found: found[0] if found[2].startswith(">") else named(found, own), inside
    )
    return PAINT.sub(f"url(#{own}", inside).replace('href="#>', 'href="#')


def named(found, own):
    return found[1] + own + found[2]


def target(address, name, known):
    """Where a link leads: into the one page ("#>…", for now), or to the site or another one."""
    if re.match(r"[a-z]+:", address):
        return address
    path, _, fragment = address.partition("#")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
    page, place = file.removesuffix(".html"), fragment.partition(":")[0]
    if page in known:
        return f"#>{slug(page)}--{place}" if place else f"#>{slug(page)}"
    return f"{repository.site(repository.address()[0])}/{file}" + f"#{fragment}" * bool(fragment)


def cover():
    """The first sheet."""
    site = repository.site(repository.address()[0])
    return (
        '<section class="cover"><h1 class="book">Sharp Minima Can Generalize</h1>'
        "<p class='about'>An interactive book on <i>Sharp Minima Can Generalize For Deep Nets</i> "
        "by L. Dinh, R. Pascanu, S. Bengio and Y. Bengio (ICML 2017)</p><p class='edition'></p>"
        f"<p class='small'>Version {version.number()}. Text and figures under CC BY 4.0, code "
        "under MIT. On paper each figure stands where its knobs start; they move on "
        f"<a href='{site}/'>the book's site</a>.</p></section>"
    )


def contents(titles):
    """The table of contents; paper.js puts the page numbers in once they are known."""
    rows = [row(name, title) for name, title in titles.items() if name == "book/index"]
    for caption, names in pages.parts():
        rows.append(f"<li class='part'>{caption}</li>")
        rows += [row(name, titles[name]) for name in names if name in titles]
    rows.append(row("book/solutions", "Solutions and answers"))
    return f"<section class='contents'><h1>Contents</h1><ol>{''.join(rows)}</ol></section>"


def row(name, title):
    return f"<li><a href='#{slug(name)}'>{title}</a><span class='at'></span></li>"
