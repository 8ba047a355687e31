"""The repository's address: one command moves the whole book to a fork.

Oracle: the contract's own rule about first cells, and a search for the old address in what is left.
"""

import shutil

import pytest

from tools import ROOT, contract, pages, repository

NEW = "https://github.com/somebody/another-name"
FILES = ("_config.yml", "README.md", "CITATION.cff", "pyproject.toml", ".zenodo.json")
FILES += ("helpers/README.md", "book/teach/cite.md", "book/teach/accessibility.md")


@pytest.fixture
def fork(tmp_path, monkeypatch):
    """A copy of every file that carries the address."""
    for path in (*(ROOT / name for name in FILES), *repository.notebooks()):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    return tmp_path


def test_every_copy_of_the_address_moves(fork):
    old, branch = repository.address()
    repository.main(f"{NEW}.git/")
    assert repository.address() == (NEW, branch)
    for path in filter(lambda path: path.is_file(), fork.rglob("*")):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in repository.spellings(old) if name in text], path
        if path.suffix == ".ipynb":
            assert not list(contract.first_cells(pages.read(path, fork)))
    command = f"git clone {NEW} && cd another-name\n"
    assert command in (fork / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("url", ["", "you/your-fork", "https://gitlab.com/you/it", f"{NEW}/tree/x"])
def test_what_is_no_address_is_refused(url, fork):
    with pytest.raises(SystemExit, match="set-repository needs URL=https://github.com/owner/name"):
        repository.main(url)


def test_a_config_without_the_address_is_named(fork):
    (fork / "_config.yml").write_text("title: x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="_config.yml needs repository: url"):
        repository.address()
