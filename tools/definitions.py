"""A link to a word of the glossary carries the word's definition.

A chapter writes a plain link, `[orbit](../glossary.md#orbit)`: in Jupyter and Colab it reads as a
link too, where the role `{term}` would show its raw name. On the site the definition opens under
the link on hover and on keyboard focus (book.css), Escape puts it away (definitions.js), and a
screen reader reads it as the link's description.
"""

import html
import re

from docutils import nodes
from sphinx import addnodes

LINK = re.compile(r'(<a class="reference internal") (href="[^"]*glossary\.html#([^"]+)">.*?</a>)')


def setup(app):
    app.connect("doctree-read", collect)
    app.connect("html-page-context", explain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def slug(words):
    """The anchor of an entry: "ε-sharpness" is eps-sharpness, "Lanczos' method" lanczos-method."""
    plain = re.sub(r"['’]s?\b", "", words.lower().replace("ε", "eps"))
    return re.sub(r"\W+", "-", plain).strip("-")


def collect(app, doctree):
    """Keep each entry's definition; a page that links to the glossary is read again after it."""
    page = app.env.metadata[app.env.docname]
    for glossary in doctree.findall(addnodes.glossary):
        for entry in glossary.findall(nodes.definition_list_item):
            term, definition = entry[0], entry[-1][0].astext()
            anchor = term["ids"][0]
            page.setdefault("myst_slugs", {})[slug(term.astext())] = (None, anchor, "")
            page.setdefault("definitions", {})[anchor] = definition.split(" See ")[0]
    for link in doctree.findall(addnodes.pending_xref):
        if link["refdomain"] == "doc" and link["reftarget"].endswith("glossary"):
            app.env.note_dependency(app.env.doc2path(link["reftarget"], base=False))


def explain(app, _page, _template, context, _doctree):
    """Put the definition behind its link, hidden until it is asked for."""
    definitions = {}
    for page in app.env.metadata.values():
        definitions.update(page.get("definitions", {}))

    def with_definition(match):
        opening, rest, anchor = match.groups()
        if anchor not in definitions:  # a link to another place on that page
            return match[0]
        name, text = f"definition-{anchor}", html.escape(definitions[anchor])
        box = f'<span class="gloss" id="{name}" role="tooltip" hidden>{text}</span>'
        return f'{opening} aria-describedby="{name}" {rest}{box}'

    if "body" in context:
        context["body"] = LINK.sub(with_definition, context["body"])
