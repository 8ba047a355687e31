"""A submission as it is marked: a copy that installs nothing and says which homework it is.

A notebook that was rebuilt (from a script, in Colab, cell by cell) lacks otter's metadata, and
otter would refuse it; one with a kernel of the student's own would find none here.
"""

import json
import re

from tools.pages import KERNEL
from tools.places import Fault

CUT = "It is not a notebook, or is cut short."
OTHER = "This is homework {other}, not {name}."
BEGUN = re.compile(r"otter\.Notebook\(\s*[\"'](hw\d+)\.ipynb")
LINE = r"(?:\\\n|[^\n])*"  # to its end, also where a backslash carries it on
TOOLS = r"(?:pip[\d.]*|conda|mamba|micromamba|uv|apt|apt-get|brew)(?=\s|$)"
INSTALLS = re.compile(
    rf"^([ \t]*(?:\w+[ \t]*=[ \t]*)?)(?:(?:!|%{{1,2}}(?=\w)){LINE}?\b{TOOLS}"
    rf"|{TOOLS}[ \t]+(?:pip[ \t]+)?(?:un)?install\b){LINE}",
    re.M,
)
NOWHERE = {  # what pip and uv find where a program calls them: nothing to install
    "PIP_DRY_RUN": "1",
    "PIP_NO_INDEX": "1",
    "UV_NO_CACHE": "1",
    "UV_OFFLINE": "1",
}


def marked(raw, name):
    """The notebook in the bytes `raw`, to be marked as homework `name`; Fault says why it is not.

    In UTF-8, or in whatever else JSON may be written in.
    """
    try:
        notebook = json.loads(raw)
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for cell in code:
            cell["source"] = without_installs("".join(cell["source"]))
        for cell in notebook["cells"]:
            cell.setdefault("metadata", {})
        held = notebook.setdefault("metadata", {})
        own = held.setdefault("otter", {})
        other = own.get("assignment_name") or _begun(code) or name
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Fault(CUT) from None
    if other != name:
        raise Fault(OTHER.format(other=other, name=name))
    own["assignment_name"] = name
    held["kernelspec"] = KERNEL
    notebook.setdefault("nbformat", 4)
    notebook.setdefault("nbformat_minor", 4)
    return notebook


def without_installs(source):
    """The cell with None in place of each line that would install something."""
    return INSTALLS.sub(r"\1None  # nothing is installed here", source)


def _begun(code):
    """The homework that the first cells say, for a notebook that lost its metadata, or ""."""
    found = map(BEGUN.search, (cell["source"] for cell in code))
    return next((begun[1] for begun in found if begun), "")
