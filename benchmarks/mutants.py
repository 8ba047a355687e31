"""The small faults that mutmut would plant in a module: `python -m benchmarks.mutants PATH`, JSON.

mutmut's own runner leaves out what stands outside functions or under a decorator, and needs its
copies of all sources on the disk; so its operators are taken, and `benchmarks/mutation.py` plants
what they make. Left out are texts (what an error says, strings with a space), annotations, and
names that only annotations use. Runs in an environment of its own: the book needs no mutmut.
"""

import json
import random
import re
import sys
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

SILENT = (cst.Annotation, cst.Decorator, cst.Raise, cst.Import, cst.ImportFrom, cst.FormattedString)
TYPE_NAME = re.compile(r"(?:[A-Z][a-z]\w*|__all__)$")  # LossFn = Callable[…], outside a function


class Everywhere(MutationVisitor):
    """mutmut's visitor, in decorated functions and outside of functions too."""

    functions = frozenset()

    def _skip_node_and_children(self, node):
        if isinstance(node, cst.SimpleString | cst.ConcatenatedString):
            text = str(node.evaluated_value)
            return " " in text or text in self.functions  # who complains is a text as well
        if isinstance(node, cst.Call):
            return node.func.deep_equals(cst.Name("isinstance"))
        if isinstance(node, cst.Assign):
            target = node.targets[0].target
            return isinstance(target, cst.Name) and bool(TYPE_NAME.match(target.value))
        return isinstance(node, SILENT)


def mutants(path, count=None, seed=""):
    """(how many there are, all of them or `count` drawn by `seed`): line, before, after, source."""
    code = Path(path).read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(code))
    visitor = Everywhere(mutation_operators, IgnoredCode(set(), set(), set()))
    visitor.functions = set(re.findall(r"^def (\w+)", code, re.M))
    module = wrapper.visit(visitor)
    places = wrapper.resolve(PositionProvider)
    every = visitor.mutations
    drawn = range(len(every))
    if count is not None and count < len(every):
        drawn = sorted(random.Random(seed).sample(drawn, count))
    return len(every), [planted(code, module, places, every[k]) for k in drawn]


def planted(code, module, places, one):
    """One fault: the number of its line, the lines before and after, and the whole source."""
    source = module.deep_replace(one.original_node, one.mutated_node).code
    before, after = changed(code.splitlines(), source.splitlines())
    line = places[one.original_node].start.line
    return {"line": line, "before": before, "after": after, "source": source}


def changed(old, new):
    """The lines of a text that another one has not, and those it has instead, each as one line."""
    same = [a == b for a, b in zip(old, new)]
    first = same.index(False) if False in same else len(same)
    back = [a == b for a, b in zip(old[:first:-1], new[:first:-1])]
    last = back.index(False) if False in back else len(back)
    cut = lambda lines: " ".join(part.strip() for part in lines[first : len(lines) - last])  # noqa: E731
    return cut(old), cut(new)


if __name__ == "__main__":
    path, *drawn = sys.argv[1:]
    json.dump(mutants(path, *([int(drawn[0]), drawn[1]] if drawn else [])), sys.stdout)
