"""The README's moving picture is the front page's figure, and the first thing a visitor sees.

Oracle: Pillow reads the file; the hash in its comment is compared with the front page's cells.
"""

import re

from PIL import Image

from tools import ROOT, moving, repository

README = (ROOT / "README.md").read_text("utf-8")


def test_the_picture_is_made_from_todays_figure():
    with Image.open(moving.TARGET) as picture:
        assert picture.info["comment"].decode() == moving.made_from(), (
            "The front page's figure changed: run make book, then python -m tools.moving."
        )


def test_the_picture_moves_and_is_light():
    with Image.open(moving.TARGET) as picture:
        seen = set()
        for at in range(picture.n_frames):
            picture.seek(at)
            seen.add(picture.convert("RGB").tobytes())
    assert len(seen) > 10
    assert moving.TARGET.stat().st_size < 200_000


def test_a_change_of_the_figure_is_noticed(monkeypatch):
    before = moving.made_from()
    page = moving.pages.read(ROOT / moving.FRONT)
    cell = next(cell for _, cell in page.code() if "explore(" in cell.source)
    cell.source += " "
    monkeypatch.setattr(moving.pages, "read", lambda _: page)
    assert moving.made_from() != before


def test_a_fork_s_address_is_no_change_of_the_figure(monkeypatch):
    before = moving.made_from()
    page = moving.pages.read(ROOT / moving.FRONT)
    _, first = next(iter(page.code()))
    url = repository.address()[0]
    assert url in first.source
    first.source = first.source.replace(url, "https://github.com/somebody/another-name")
    monkeypatch.setattr(moving.pages, "read", lambda _: page)
    assert moving.made_from() == before


def test_the_readme_opens_with_the_site_two_commands_and_the_moving_picture():
    site = repository.site(repository.address()[0])
    places = [
        README.index(words) for words in (f"]({site}/)", "git clone", "make serve", "moving.gif")
    ]
    assert places == sorted(places)
    assert "moving.gif" in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)[0]
    assert README[: places[-1]].count("\n") < 16
