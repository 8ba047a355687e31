"""Citations as author-year links, for hosts that know no bibliography: made from references.bib."""

from dataclasses import dataclass

from pybtex.database import parse_file
from pybtex.richtext import Text

from tools.places import Fault


@dataclass(frozen=True)
class Works:
    """The works that the book cites."""

    entries: dict

    def cite(self, role, keys):
        """The Markdown of `{cite:t}` (a part of the sentence) or of `{cite:p}` (in brackets)."""
        found = [self._entry(key.strip()) for key in keys.split(",")]
        if role == "cite:t":
            return " and ".join(f"[{authors(e)} ({year(e)})]({address(e)})" for e in found)
        return f"({'; '.join(f'[{authors(e)}, {year(e)}]({address(e)})' for e in found)})"

    def _entry(self, key):
        if key not in self.entries:
            raise Fault(f"the citation {key!r} is not in references.bib.")
        return self.entries[key]


def read(path):
    """The works of a BibTeX file."""
    return Works(parse_file(str(path)).entries)


def authors(entry):
    """Pearlmutter, Hochreiter and Schmidhuber, Dinh et al."""
    names = [
        str(Text.from_latex(" ".join([*person.prelast_names, *person.last_names])))
        for person in entry.persons.get("author") or entry.persons.get("editor") or ()
    ]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)


def year(entry):
    return entry.fields.get("year", "no year")


def address(entry):
    """Where the work can be read: its DOI, its own address, or arXiv."""
    fields = entry.fields
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if "url" in fields:
        return fields["url"]
    if fields.get("archiveprefix", "").lower() == "arxiv":
        return f"https://arxiv.org/abs/{fields['eprint']}"
    said = "a notebook shows no list of references, so it has to link to the work"
    raise Fault(
        f"the work {entry.key!r} needs a doi, a url or an eprint of arXiv, got none: {said}."
    )
