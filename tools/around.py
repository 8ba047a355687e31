"""The site as others see it: descriptions, cards, one address for each page, a map for crawlers.

The site's address comes from `tools.repository`; no page asks for it, so that the site also works
from a folder. A card's picture is the still of the page's first figure; a page without one borrows
the front page's. sphinxext-opengraph writes the tags.
"""

import base64
import html
import io
import re
from pathlib import Path

import nbformat
from docutils import nodes
from PIL import Image

from tools import letters, repository

CARD = (1200, 630)  # what the networks ask for; they cut anything else
MARGIN = 36
LONGEST = 200  # characters of a description
VIEWPORT = re.compile(r'\s*<meta [^>]*name="viewport"[^>]*>')
TAGS = re.compile(r'<meta (?:property="og:|name="(?:description|twitter:))[^>]*>')
CANONICAL = re.compile(r'<link rel="canonical"[^>]*>')
LEAD = "lead"  # the class of the paragraph that says what a chapter is about
NO_WORDS = (nodes.image, nodes.raw, nodes.comment)


def setup(app):
    app.connect("config-inited", know_address, priority=100)
    app.connect("html-collect-pages", lost_page)
    app.connect("html-page-context", introduce, priority=400)  # before sphinxext-opengraph
    app.connect("html-page-context", name_once)
    app.connect("build-finished", finish, priority=600)  # after the root page is there
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def know_address(_app, config):
    config.html_baseurl = config.ogp_site_url = repository.site(repository.address()[0]) + "/"
    config.ogp_site_name = config.html_title


def lost_page(app):
    """404.html, which a server shows for every address that is not there, at any depth."""
    address = app.config.html_baseurl
    root = "/" + address.split("//")[-1].partition("/")[2]
    yield "404", {"title": "This page is not in the book", "site_root": root}, "404.html"


def introduce(app, page, _template, context, doctree):
    """What a link to the page shows: a description and a picture."""
    if doctree is None:
        return
    context["meta"] = meta = dict(context.get("meta") or {})
    meta["og:description"] = text = html.escape(description(doctree))
    context["metatags"] += f'<meta name="description" content="{text}" />\n'
    for name in (page, app.config.root_doc):
        if still := first_still(app, name):
            address, alt = f"_static/cards/{name.replace('/', '-')}.png", html.escape(still[1])
            draw_card(still[0], Path(app.outdir) / address)
            meta |= {"og:image": app.config.html_baseurl + address, "og:image:alt": alt}
            meta |= dict(zip(("og:image:width", "og:image:height"), map(str, CARD)))
            return


def description(doctree):
    """The chapter's question and answer, or how the page begins, in at most 200 characters."""
    leads = [c for c in doctree.findall(nodes.container) if LEAD in c["classes"]]
    paragraphs = leads or [p for p in doctree.findall(nodes.paragraph) if not is_aside(p)]
    words = [" ".join(spoken(p).split()) for p in paragraphs]
    return shorten(" ".join([text for text in words if text][:2]) or doctree.astext())


def is_aside(paragraph):
    """Is this text beside the page's own: the lead-in, a list, a table, what a cell says?"""
    asides = (nodes.container, nodes.list_item, nodes.entry, nodes.literal_block)
    node = paragraph.parent
    while node is not None and not isinstance(node, asides):
        node = node.parent
    return node is not None


def spoken(node):
    """The words of a text, its formulas in Unicode, without pictures."""
    if isinstance(node, (nodes.math, nodes.math_block)):
        return letters.line(node.astext())
    if isinstance(node, nodes.Text):
        return node.astext()
    return "".join(spoken(child) for child in node.children if not isinstance(child, NO_WORDS))


def shorten(text):
    """Whole sentences if they fill half of the room, else whole words and "…"."""
    if len(text) <= LONGEST:
        return text
    cut = text[:LONGEST]
    ends = [found.end() for found in re.finditer(r"[.?!](?= )", cut)]
    if ends and ends[-1] > LONGEST / 2:
        return cut[: ends[-1]]
    return cut[: LONGEST - 1].rpartition(" ")[0].rstrip(",;:") + "…"


def first_still(app, name):
    """(PNG in base64, alt text) of the page's first live figure; None where it has none."""
    path = Path(app.outdir).parent / "jupyter_execute" / f"{name}.ipynb"
    if not path.exists():
        return None
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data and 'class="live"' in data.get("text/html", ""):
                return data["image/png"], data["text/plain"]
    return None


def draw_card(still, path):
    """The still in the middle of a white card."""
    picture = Image.open(io.BytesIO(base64.b64decode(still))).convert("RGBA")
    room = [side - 2 * MARGIN for side in CARD]
    scale = min(side / have for side, have in zip(room, picture.size))
    picture = picture.resize([round(scale * side) for side in picture.size], Image.LANCZOS)
    card = Image.new("RGB", CARD, "white")
    card.paste(picture, [(a - b) // 2 for a, b in zip(CARD, picture.size)], picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    card.quantize(128).save(path, "PNG", optimize=True)


def name_once(app, page, _template, context, _doctree):
    """The front page is named after the book alone; a page says once how wide it is."""
    if page == app.config.root_doc:
        context["docstitle"] = ""
    if context.get("metatags"):
        context["metatags"] = VIEWPORT.sub("", context["metatags"])


def finish(app, error):
    if error is None and app.builder.format == "html":
        site, address = Path(app.outdir), app.config.html_baseurl
        names = sorted(app.env.found_docs)
        pages = [app.builder.get_target_uri(name) for name in names]
        (site / "sitemap.xml").write_text(sitemap(address, pages), "utf-8")
        rules = f"User-agent: *\nAllow: /\nSitemap: {address}sitemap.xml\n"
        (site / "robots.txt").write_text(rules, "utf-8")
        introduce_root(site, app.builder.get_target_uri(app.config.root_doc))
        drop_cards(site, names)


def sitemap(address, pages):
    """The addresses of all pages, those that this build left as they were too."""
    rows = "".join(f"<url><loc>{html.escape(address + page)}</loc></url>\n" for page in pages)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="{space}">\n{rows}</urlset>\n'


def introduce_root(site, first):
    """The site's root forwards to the first page, and a link to it shows what that page shows."""
    root, page = site / "index.html", (site / first).read_text("utf-8")
    if first == "index.html":
        return
    tags = "\n".join([*CANONICAL.findall(page)[:1], *TAGS.findall(page)])
    text = CANONICAL.sub("", root.read_text("utf-8"))
    root.write_text(text.replace("</title>", f"</title>\n{tags}", 1), "utf-8")


def drop_cards(site, names):
    """Cards of pages that are gone go too."""
    kept = {f"{name.replace('/', '-')}.png" for name in names}
    for card in (site / "_static" / "cards").glob("*.png"):
        if card.name not in kept:
            card.unlink()
