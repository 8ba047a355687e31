"""A chapter's first screen: where it stands, its title, what it asks, and a figure to touch.

The code that makes a figure runs before it and stands above it in a notebook. A reader of the site
meets the figure first: the folds move below it. Only what the page shows is moved, nothing that
runs.
"""

from docutils import nodes

FIGURE = '<figure class="live"'


def setup(app):
    app.connect("doctree-resolved", touch_first)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def touch_first(_app, doctree, _page):
    for cell in list(doctree.findall(_is_cell)):
        if _shows_figure(cell):
            cell.children.sort(key=_is_fold)  # stable: what the cell shows, then its lines
    section = next(iter(doctree.findall(nodes.section)), None)
    if section is not None:
        _lead_in_first(section)
        _folds_behind(section)


def _is_cell(node):
    return isinstance(node, nodes.container) and node.get("nb_element") == "cell_code"


def _is_fold(node):
    return node.get("nb_element") != "cell_code_output"


def _shows_figure(cell):
    return any(FIGURE in raw.astext() for raw in cell.findall(nodes.raw))


def _lead_in_first(section):
    for node in [child for child in section.children if "lead-in" in child.get("classes", ())]:
        section.remove(node)
        section.insert(0, node)


def _folds_behind(section):
    """Cells that only fold, from the title to the first figure, move to where the text goes on."""
    own = [node for node in section.children if not isinstance(node, nodes.section)]
    figure = next((at for at, node in enumerate(own) if _is_cell(node) and _shows_figure(node)), 0)
    folds = [cell for cell in own[:figure] if _is_cell(cell) and all(map(_is_fold, cell.children))]
    for cell in folds:
        section.remove(cell)
    at = len(own) - len(folds)
    section[at:at] = folds
