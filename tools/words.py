"""The book's words: those that a British dictionary does not have, and how its sentences run.

`python -m tools.words` prints one line a page, for information: mean and longest sentence, and how
often it says no. The spelling is that of Oxford, British with -ize. The dictionary comes from npm
once, by version and hash; what only this book calls by name stands in `tools/words.txt`.
"""

import ast
import gc
import io
import re
import statistics
import tokenize
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import yaml
from spylls.hunspell import Dictionary

from tools import ROOT, contract, npm, pages

BRITISH = (  # npm view dictionary-en-gb@3.0.0 dist.integrity
    "dictionary-en-gb",
    "3.0.0",
    "sha512-gU/dwC9xGYPh/0CCcmGNXO8OwSgOySAqevcSXxADCsgUD+tr6OJ52u7XaC7No7dNssvdUSfVjkzcqLrRZq3kPA==",
)
OWN = ROOT / "tools" / "words.txt"
GUIDES = ("*.md", "helpers/*.md", "benchmarks/*.md")
LISTS = ("book/teach/course.yml", "book/teach/bank.yml")
FOLDERS = ("helpers", "tools", "tests", "benchmarks")
ROLE = re.compile(r"\{(?:ref|doc|prf:ref)\}`([^`<]*)[^`]*`")
FENCE = re.compile(r"^:{3,}(?:\{[\w:-]+\})?", re.M)
MARKUP = re.compile(r"<!--.*?-->|</?[a-z][^>]*>|&\w+;|\\\w+", re.S)
WORD = re.compile(r"\w+(?:['’]\w+)*")
PLAIN = re.compile(r"[A-Z]?[a-zà-ÿ]+")  # no name in capitals, no letter of a formula
IZED = re.compile(r"iz(?=e|ing|ation|able)")
ISED = re.compile(r"is(?=e|ing|ation|able)")


# ---- what is read --------------------------------------------------------------------------------


def texts():
    """(where, text) of everything that is spelled: prose, captions, alt texts, docstrings."""
    for path in pages.sources():
        yield from of_page(pages.read(path))
    for path in (path for names in GUIDES for path in sorted(ROOT.glob(names))):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for name in LISTS:
        said = strings(yaml.safe_load((ROOT / name).read_text(encoding="utf-8")))
        yield from ((name, text) for text in said)
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        yield from of_module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


def of_page(page):
    """(where, text) of a page: its prose, what its metadata say, the sentences in its code."""
    for at, cell in page.markdown():
        yield page.where(at), cell.source
        kept = [cell.metadata.get(key) for key in ("chapter", "predict")]
        yield from ((page.where(at), text) for text in strings(kept))
    for at, cell in page.code():
        yield from ((page.where(at), text) for text in sentences_in(pages.parse(cell.source)))
        yield page.where(at), comments(contract.no_magic(cell.source))


def of_module(name, source):
    """(where, text) of a module: its docstrings and comments, and of a helper every sentence."""
    tree = ast.parse(source)
    if name.startswith("helpers/"):
        yield from ((name, text) for text in sentences_in(tree))
    else:
        kinds = (ast.Module, ast.FunctionDef, ast.ClassDef)
        found = [ast.get_docstring(n) for n in ast.walk(tree) if isinstance(n, kinds)]
        yield from ((name, text) for text in found if text)
    yield from ((name, text) for text in [comments(source)] if text)


def comments(source):
    """The comments of a Python text, a line each."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join(token.string for token in tokens if token.type == tokenize.COMMENT)


def sentences_in(tree):
    """Each string with a space in it, unless it is a pattern or a list of names."""
    spoken_of = [n.value for n in ast.walk(tree) if isinstance(n, ast.Attribute)]  # "a b".split()
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    patterns = [leaf for n in calls if ast.unparse(n.func).startswith("re.") for leaf in n.args]
    left_out = {id(leaf) for node in spoken_of + patterns for leaf in ast.walk(node)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in left_out else None
        if isinstance(text, str) and " " in text:
            yield text


def strings(data):
    """Every sentence inside lists and mappings."""
    if isinstance(data, str):
        yield from [data] if " " in data else []
    elif isinstance(data, Iterable):
        for value in data.values() if hasattr(data, "values") else data:
            yield from strings(value)


# ---- how it is spelled ---------------------------------------------------------------------------


@dataclass
class Spelling:
    """British with -ize: two dictionaries, and the words that only this book has."""

    british: Dictionary
    american: Dictionary  # it tells which verbs may have a z: none of exercise, raise, promise
    own: set

    def knows(self, word):
        """True if the word is spelled as in Oxford, or is one of the book's own."""
        if word in self.own or word.lower() in self.own:
            return True
        if ISED.search(word) and self.american.lookup(ISED.sub("iz", word)):
            return False
        return self.british.lookup(word) or self.british.lookup(IZED.sub("is", word))

    def unknown(self, text):
        """Each word of a text that is not known, without code, formulas, links and names."""
        for word in WORD.findall(plain(text)):
            word = re.sub(r"['’]s$", "", word).replace("’", "'")
            if len(word) > 1 and PLAIN.fullmatch(word.replace("'", "")) and not self.knows(word):
                yield word


def spelling():
    """The book's spelling; raises npm.NotThere without a network, the first time."""
    british = dictionary(str(npm.package(*BRITISH) / "index"))
    own = set(OWN.read_text(encoding="utf-8").split())
    return Spelling(british, dictionary("en_US"), own)  # the second comes with spylls


def dictionary(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # spylls leaves a file to the collector
        found = Dictionary.from_files(name)
        gc.collect()
    return found


def plain(text):
    """The prose of a Markdown text, with the titles of boxes and the words of links."""
    return MARKUP.sub(" ", contract.prose(FENCE.sub("", ROLE.sub(r"\1", text))))


# ---- how it runs ---------------------------------------------------------------------------------

NO = re.compile(r"\b(?:not|no|never|nothing|none|nobody|nor|neither|cannot|\w+n['’]t)\b", re.I)
END = re.compile(r"(?<=[.!?])[\"”)*_]*\s+(?=[^a-z\s])")
BLOCK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*|>]|\d+\.|:)\s)|^#+.*$", re.M)


def sentences(text):
    """The sentences of a Markdown text; headings and tables have none."""
    for block in BLOCK.split(plain(text)):
        if not re.match(r"\s*\|", block):
            found = (WORD.findall(one) for one in END.split(block))
            yield from (words for words in found if len(words) > 1)


def measured(text):
    """(words, words a sentence, words of the longest, negations in a hundred words)."""
    found = list(sentences(text))
    lengths = [len(words) for words in found] or [0]
    total = sum(lengths)
    denied = sum(len(NO.findall(" ".join(words))) for words in found)
    return total, statistics.mean(lengths), max(lengths), 100 * denied / max(total, 1)


def main():
    print(f"{'page':44}{'words':>7}{'a sentence':>12}{'longest':>9}{'no, in 100':>12}")
    for path in pages.sources():
        page = pages.read(path)
        total, mean, longest, denied = measured(page.text())
        print(f"{page.name:44}{total:7}{mean:12.1f}{longest:9}{denied:12.1f}")


if __name__ == "__main__":
    main()
