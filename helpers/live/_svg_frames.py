"""A moving picture as one SVG and a list of changes.

matplotlib draws every position; the drawings are merged into one template, and each attribute that
is not the same at all positions becomes a slot with its list of values. Nothing is interpolated:
any position can be shown from the template and the slots, and it is what matplotlib drew.
"""

import itertools
import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass

_REFERENCE = re.compile(r"#([\w.:-]+)")


@dataclass(frozen=True)
class Frames:
    """`svg` at the start position, and what changes: `slots` of (node, attribute, value indices).

    Nodes count the elements of `svg` in document order; attribute `#text` is the text and
    `#inner` the markup of a node; value None means that the attribute is absent.
    """

    svg: str
    slots: list  # [node, attribute, [index into values, one for each position]]
    values: list


def merge(trees, start, prefix):
    """`Frames` of the SVG `trees`, one a position; ids begin with `prefix`, so pages can hold many.

    A child that some positions lack stays in the template and is hidden there (`display`). Where
    positions disagree on the order of children the whole inside of the node is one slot.
    """
    _rename_ids(trees, prefix)
    values, slots = {}, []
    root = _merge_nodes(list(trees), start)
    nodes = list(root.iter())
    for index, node in enumerate(nodes):
        for attribute, column in sorted(getattr(node, "changes", {}).items()):
            slots.append([index, attribute, [values.setdefault(v, len(values)) for v in column]])
    return Frames(ET.tostring(root, encoding="unicode"), slots, list(values))


def _rename_ids(trees, prefix):
    """Short ids for what is referred to, none for the rest; the artists' names become keys."""
    fresh = {}
    for tree in {id(tree): tree for tree in trees}.values():  # a panel that rested is there twice
        used = {name for node in tree.iter() for v in node.attrib.values() for name in _refs(v)}
        for name in (node.get("id") for node in tree.iter()):
            if name in used:
                fresh.setdefault(name, f"{prefix}{len(fresh)}")
        for node in tree.iter():
            node.attrib = {k: _relink(v, fresh) for k, v in node.attrib.items()}
            identity = node.attrib.pop("id", None)
            if "~" in (identity or ""):
                node.set("data-mark", identity.rpartition("~")[2])
            if identity in used:
                node.set("id", fresh[identity])
            elif identity is not None:
                node.set("key", identity)


def _refs(value):
    return _REFERENCE.findall(value) if value.startswith(("#", "url(#")) else ()


def _relink(value, fresh):
    return _REFERENCE.sub(lambda m: "#" + fresh[m[1]], value) if _refs(value) else value


class _Node(ET.Element):
    """An element that also holds `changes`: attribute → its values, one for each position."""


def _merge_nodes(trees, start):
    shown = next(t for t in (trees[start], *trees) if t is not None)
    node = _Node(shown.tag)
    node.changes = {}
    for name in sorted({name for t in trees if t is not None for name in t.attrib} - {"key"}):
        _place(node, name, [_filled(t, shown).get(name) for t in trees], start)
    _place(node, "#text", [_filled(t, shown).text for t in trees], start)
    if None in trees:
        _place(node, "display", ["none" if t is None else None for t in trees], start)
    order, rows = _children(trees)
    if order is None:
        insides = [_inside(t if t is not None else shown) for t in trees]
        node.extend(ET.fromstring(f"<g>{insides[start]}</g>"))
        node.changes["#inner"] = insides
        return node
    for key in order:
        node.append(_merge_nodes([row.get(key) for row in rows], start))
    return node


def _filled(tree, other):
    return other if tree is None else tree


def _place(node, name, column, start):
    if any(value != column[0] for value in column):
        node.changes[name] = column
    if name == "#text":
        node.text = column[start]
    elif column[start] is not None:
        node.set(name, column[start])


def _children(trees):
    """The order of all children that occur, and each tree's children by key; order may be None."""
    rows = [_keyed(tree) if tree is not None else {} for tree in trees]
    order = []
    for row in rows:
        for before, key in zip([None, *row], row):
            if key not in order:
                order.insert(order.index(before) + 1 if before is not None else 0, key)
    rank = {key: i for i, key in enumerate(order)}
    sorted_rows = all(rank[a] < rank[b] for row in rows for a, b in itertools.pairwise(row))
    return (order if sorted_rows else None), rows


def _keyed(tree):
    seen, row = Counter(), {}
    for child in tree:
        kind = (child.tag, child.get("key"))
        row[(*kind, seen[kind])] = child
        seen[kind] += 1
    return row


def _inside(tree):
    for node in tree.iter():
        node.attrib.pop("key", None)
    return "".join(ET.tostring(child, encoding="unicode") for child in tree)
