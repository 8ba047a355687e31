"""What a reader writes into the notebooks is never lost: to write them again keeps it.

Oracle: small folders written down here.
"""

import json
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import commands, editions, kept

OTHER = Path("/dev/shm")
ONE = {"reader/a.ipynb": "one", "reader/b.ipynb": "two"}


def texts(folder):
    paths = [path for path in folder.rglob("*.ipynb") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def other_disk():
    here = Path(tempfile.gettempdir()).stat().st_dev
    return OTHER.is_dir() and os.access(OTHER, os.W_OK) and OTHER.stat().st_dev != here


@pytest.fixture
def target(tmp_path):
    kept.write(ONE, tmp_path / "build" / "notebooks")
    return tmp_path / "build" / "notebooks"


def test_all_is_written_or_nothing(target):
    with pytest.raises(AttributeError):
        kept.write({"reader/a.ipynb": "three", "reader/b.ipynb": None}, target)
    assert texts(target) == ONE
    assert kept.write({"reader/c.ipynb": "four"}, target) is None
    assert texts(target.parent) == {"notebooks/reader/c.ipynb": "four"}


def test_work_stays_where_it_is_while_the_book_stays_the_same(target):
    (target / "reader/a.ipynb").write_text("my answer")
    (target / "notes.ipynb").write_text("my notes")
    for _ in range(2):
        assert kept.write(ONE, target) is None
        assert texts(target) == ONE | {"reader/a.ipynb": "my answer", "notes.ipynb": "my notes"}


@pytest.mark.parametrize("later", [{"reader/a.ipynb": "new"}, {"reader/b.ipynb": "two"}])
def test_work_is_moved_and_not_lost_when_the_book_changes(target, later):
    (target / "reader/a.ipynb").write_text("my answer")
    (target / "notes.ipynb").write_text("my notes")
    place = kept.write(later, target)
    assert texts(place) == {"reader/a.ipynb": "my answer"}
    assert texts(target) == later | {"notes.ipynb": "my notes"}


def test_two_moves_within_a_second_have_a_folder_each(target, monkeypatch):
    monkeypatch.setattr(
        kept, "datetime", SimpleNamespace(now=lambda: datetime(2030, 1, 2, 3, 4, 5))
    )
    places = []
    for answer in ("first", "second", "third"):
        (target / "reader/a.ipynb").write_text(answer)
        places.append(kept.write({"reader/a.ipynb": f"before the {answer}"}, target))
    names = [place.name.removeprefix("2030-01-02 03.04.05") for place in places]
    assert names == ["", " (2)", " (3)"]
    assert [*map(texts, places)] == [{"reader/a.ipynb": x} for x in ("first", "second", "third")]


def test_a_folder_of_unknown_origin_is_a_readers(tmp_path):
    (tmp_path / "notebooks/reader").mkdir(parents=True)
    (tmp_path / "notebooks/reader/a.ipynb").write_text("from before")
    place = kept.write(ONE, tmp_path / "notebooks")
    assert texts(place) == {"reader/a.ipynb": "from before"}
    assert texts(tmp_path / "notebooks") == ONE


@pytest.mark.parametrize("stamp", ['{\n "reader/a', "", "[1]", "\0\0"])
def test_with_a_stamp_that_was_cut_short_nothing_is_lost(target, stamp):
    (target / "reader/a.ipynb").write_text("my answer")
    target.with_suffix(".json").write_text(stamp)
    place = kept.write(ONE, target)
    assert texts(place) == {"reader/a.ipynb": "my answer"}  # b is what is written there anyhow
    assert texts(target) == ONE and kept.write(ONE, target) is None


def test_after_a_stop_half_way_only_what_a_reader_wrote_is_put_elsewhere(target, monkeypatch):
    def stopped(source, goal):
        if goal.suffix == ".json":
            raise KeyboardInterrupt
        replace(source, goal)

    replace = os.replace
    (target / "reader/a.ipynb").write_text("my answer")
    later = dict.fromkeys(ONE, "new")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            kept.write(later, target)
    assert kept.write(later, target) is None
    assert texts(target) == later
    assert [*texts(target.parent / kept.PLACE).values()] == ["my answer"]


def test_a_stamp_of_an_older_tool_tells_what_is_ours(target):
    stamp = target.with_suffix(".json")
    stamp.write_text(json.dumps({path: both[0] for path, both in kept.written(target).items()}))
    (target / "reader/a.ipynb").write_text("my answer")
    assert kept.of_readers(target) == {"reader/a.ipynb"}
    assert texts(kept.write(ONE, target)) == {"reader/a.ipynb": "my answer"}
    assert texts(target) == ONE


def test_what_says_which_notebooks_are_ours_is_written_whole_or_not(target, monkeypatch):
    before = kept.written(target)

    def full(path, text, *_, **__):
        with path.open("w") as file:
            file.write(text[:9])
        raise OSError("no space left on the disk")

    monkeypatch.setattr(type(target), "write_text", full)
    with pytest.raises(OSError, match="no space"):
        kept.write({}, target)
    assert kept.written(target) == before


def test_a_folder_at_a_notebooks_place_and_a_file_at_a_folders_are_a_readers(target):
    (target / "reader/a.ipynb").unlink()
    (target / "reader/a.ipynb").mkdir()
    (target / "reader/a.ipynb/b.ipynb").write_text("mine")
    assert kept.write(ONE, target) is None
    place = kept.write({"reader/a.ipynb": "new"}, target)
    assert texts(target) == {"reader/a.ipynb": "new"}
    assert texts(place) == {"reader/a.ipynb/b.ipynb": "mine"}
    (target / "student").write_text("mine")
    place = kept.write({"student/a.ipynb": "new"}, target)
    assert (place / "student").read_text() == "mine"
    assert texts(target) == {"student/a.ipynb": "new"}
    shutil.rmtree(target / "student")
    (target / "student").write_text("mine again")
    assert kept.write({}, target) is None
    assert (target / "student").read_text() == "mine again"


@pytest.mark.skipif(not other_disk(), reason="needs a second disk")
def test_the_notebooks_may_be_a_link_to_another_disk(tmp_path, root):
    target = root / "_build" / "notebooks"
    with tempfile.TemporaryDirectory(dir=OTHER) as disk:
        shutil.rmtree(target)
        target.symlink_to(disk, target_is_directory=True)
        kept.write(ONE, target)
        assert texts(Path(disk)) == ONE
        (target / "reader/a.ipynb").write_text("my answer")
        (target / "reader/b.ipynb").unlink()
        (target / "reader/b.ipynb").mkdir()
        (target / "reader/b.ipynb/c.ipynb").write_text("mine")
        place = kept.write(dict.fromkeys(ONE, "new"), target)
        assert texts(place) == {"reader/a.ipynb": "my answer", "reader/b.ipynb/c.ipynb": "mine"}
        assert texts(Path(disk)) == dict.fromkeys(ONE, "new")
        (target / "data.csv").write_text("mine")
        commands.clean()
        assert len([*(root / "_build" / kept.PLACE).rglob("data.csv")]) == 1
        assert not target.is_symlink()


def test_what_cannot_be_written_or_moved_is_said_in_a_sentence(root, monkeypatch):
    target = root / "_build" / "notebooks"
    (target / "mine.csv").write_text("mine")
    (root / "_build" / kept.PLACE).write_text("no folder")
    with pytest.raises(SystemExit, match="^clean needs to move what you wrote first, got: "):
        commands.clean()
    assert (target / "mine.csv").read_text() == "mine"
    monkeypatch.setattr(editions, "ROOT", root)
    monkeypatch.setattr(editions, "TARGET", target / "mine.csv")
    monkeypatch.setattr(editions, "read_book", lambda: None)
    monkeypatch.setattr(editions, "make", lambda book: ({}, 0, []))
    with pytest.raises(SystemExit, match="^the notebooks need _build.* to be a folder .*, got: "):
        editions.main()


def test_an_open_folder_stays_the_same_folder(target):
    before = os.stat(target).st_ino, os.stat(target / "reader").st_ino
    kept.write({"reader/a.ipynb": "new"}, target)
    assert before == (os.stat(target).st_ino, os.stat(target / "reader").st_ino)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A checkout with notebooks and a site, for `make clean`."""
    build = tmp_path / "_build"
    (build / "html").mkdir(parents=True)
    kept.write(ONE, build / "notebooks")
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(commands, "NOTEBOOKS", build / "notebooks")
    return tmp_path


def test_to_clean_up_keeps_work(root):
    target = root / "_build" / "notebooks"
    (target / "reader/a.ipynb").write_text("my answer")
    (target / ".ipynb_checkpoints").mkdir()
    (target / ".ipynb_checkpoints/a-checkpoint.ipynb").write_text("Jupyter's own")
    commands.clean()
    assert [path.name for path in (root / "_build").iterdir()] == [kept.PLACE]
    assert list(texts(root / "_build").values()) == ["my answer"]
    commands.clean()
    assert list(texts(root / "_build").values()) == ["my answer"]


def test_to_clean_up_keeps_whatever_lies_beside_the_notebooks_and_says_where(root, capsys):
    target, own = root / "_build" / "notebooks", set()
    for name in ("data.csv", "own.py", "notes.md", "fig.png", ".mine/x.ipynb", "UP.IPYNB"):
        (path := target / "reader" / name).parent.mkdir(exist_ok=True)
        path.write_bytes(b"\xff mine")
        own.add(f"reader/{name}")
    for name in ("reader/__pycache__/own.pyc", ".ipynb_checkpoints/a-checkpoint.ipynb"):
        (target / name).parent.mkdir()
        (target / name).write_text("a machine's")
    (target / "elsewhere").symlink_to(root / "on a stick", target_is_directory=True)
    commands.clean()
    (place,) = (root / "_build" / kept.PLACE).iterdir()
    found = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert found == own and (place / "elsewhere").is_symlink()
    said = f"What you wrote into the notebooks' folder is in {place.relative_to(root)} now.\n"
    assert capsys.readouterr().out == said
    assert not target.exists()
