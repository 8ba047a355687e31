"""Writes a folder of files in place, and loses nothing that a reader wrote into it.

`<folder>.json` beside it says what was written last. A file that still reads like that is replaced.
One that a reader has changed stays as long as what would be written there says the same; when that
changes, the reader's goes to `notebooks-kept`, under the day and the time. Other files stay; a file
where a folder is needed goes there too.
"""

import itertools
import json
import os
import shutil
import tempfile
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath

PLACE = "notebooks-kept"
_NONE = [None, None]  # what is known of a file that was never written
OF_MACHINES = {".ipynb_checkpoints", "__pycache__"}  # Jupyter's own copies, and Python's


def write(texts, target, matter=str):
    """Write {path in the folder: text} into `target`, all or none; return where work was put.

    A reader's file gives way when `matter` of the text, what the text says, is another one.
    """
    target.mkdir(parents=True, exist_ok=True)
    before = written(target)
    now = {path: [_digest(text), _digest(matter(text))] for path, text in texts.items()}
    with tempfile.TemporaryDirectory(prefix=".notebooks-", dir=_on_its_disk(target)) as folder:
        for path, text in texts.items():
            (fresh := Path(folder, path)).parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(text, encoding="utf-8")
        own = {path for path in before | now if _is_own(target / path, before.get(path, _NONE)[0])}
        stale = {path for path in own if before.get(path, _NONE)[1] != now.get(path, _NONE)[1]}
        going = {path for path in stale if _is_own(target / path, now.get(path, _NONE)[0])}
        kept = keep(target, going | _in_the_way(target, now))
        for path in before.keys() - now.keys() - own:
            if (target / path).is_file():
                (target / path).unlink()
        for path in now.keys() - (own - going):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(folder, path), target / path)
    (stamp := target.with_suffix(".json.new")).write_text(json.dumps(now, indent=1), "utf-8")
    os.replace(stamp, _stamp(target))  # so that it is never half written
    return kept


def _on_its_disk(target):
    """Where a file can be made and then renamed into `target`, which may be a link."""
    return target.parent if target.stat().st_dev == target.parent.stat().st_dev else target


def _in_the_way(target, paths):
    """The files of `target`, by path, that lie where one of `paths` needs a folder."""
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    return {
        name for name in folders if os.path.lexists(target / name) and not (target / name).is_dir()
    }


def keep(target, paths):
    """Move files of `target` to `notebooks-kept` beside it; return that folder, or None."""
    if not paths:
        return None
    place = _new_folder(target.parent / PLACE, f"{datetime.now():%Y-%m-%d %H.%M.%S}")
    for path in paths:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(target / path, place / path)
    return place


def _new_folder(parent, name):
    """A folder of that name that was not there; the second within one second gets a number."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        place = parent / (f"{name} ({number})" if number > 1 else name)
        with suppress(FileExistsError):
            place.mkdir()
            return place


def of_readers(target):
    """The files in `target`, by path, that were not written there, or were changed since."""
    before, found = written(target), {}
    for path in target.rglob("*"):
        name = path.relative_to(target)
        if not (OF_MACHINES & {*name.parts} or (path.is_dir() and not path.is_symlink())):
            found[name.as_posix()] = path
    return {name for name, path in found.items() if _is_own(path, before.get(name, _NONE)[0])}


def written(target):
    """{path: [digest of the text, of its matter]} of what was written into `target` last.

    It is {} where nothing can be read; of what an older tool wrote, the matter is not known.
    """
    try:
        found = json.loads(_stamp(target).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # there is none, or it was cut short
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {path: [said, ""] if isinstance(said, str) else said for path, said in pairs}


def _stamp(target):
    return target.with_suffix(".json")


def _is_own(path, digest):
    if digest is None or not path.is_file():  # a folder, or a link that leads nowhere
        return os.path.lexists(path)
    return _digest(path.read_text("utf-8", errors="replace")) != digest


def _digest(text):
    return sha256(text.encode()).hexdigest()
