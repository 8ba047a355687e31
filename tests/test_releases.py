"""A release keeps its address: each number has its folder, and today's site stays what it is.

Oracle: zip files written here, and what then lies in the folder; for the workflows, their YAML.
"""

import json
import re
import zipfile

import pytest
import yaml

from tools import ROOT, releases, repository, version


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("today")
    return tmp_path / "site"


def release(zips, tag, **files):
    (zips / tag).mkdir(parents=True)
    with zipfile.ZipFile(zips / tag / "site.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(f"sharp-minima-book/{name}.html", text)


def read(site):
    found = site.rglob("*.html")
    return {path.relative_to(site).as_posix(): path.read_text() for path in found}


def test_each_release_stands_under_its_number_and_the_newest_correction_wins(tmp_path, site):
    zips = tmp_path / "zips"
    for tag in ("v1.0.2", "v1.0.10", "v1.1.0"):
        release(zips, tag, index=tag)
    release(zips, "draft", index="no tag")
    for _ in range(2):  # again, as at each publication
        releases.main(zips, site)
    assert read(site) == {
        "index.html": "today",
        "v1.0/index.html": "v1.0.10",
        "v1.1/index.html": "v1.1.0",
    }


def test_a_later_release_leaves_the_folder_of_an_earlier_one_alone(tmp_path, site):
    release(tmp_path / "zips", "v1.0.0", index="first", gone="a page that 1.1 no longer has")
    releases.main(tmp_path / "zips", site)
    before = {name: text for name, text in read(site).items() if name.startswith("v1.0/")}
    release(tmp_path / "zips", "v1.1.0", index="second")
    releases.main(tmp_path / "zips", site)
    after = read(site)
    assert {name: after[name] for name in before} == before
    assert "v1.1/gone.html" not in after


def test_a_zip_of_another_form_is_refused_and_nothing_is_written(tmp_path, site):
    (tmp_path / "zips" / "v1.0.0").mkdir(parents=True)
    for names in (("index.html", "a/b.html"), ("a/../../out.html",)):
        with zipfile.ZipFile(tmp_path / "zips" / "v1.0.0" / "site.zip", "w") as archive:
            for name in names:
                archive.writestr(name, "x")
        with pytest.raises(ValueError, match="needs one folder with the site"):
            releases.main(tmp_path / "zips", site)
        assert read(site) == {"index.html": "today"}


# ---- one version everywhere ----------------------------------------------------------------------

CITE = (ROOT / "book" / "teach" / "cite.md").read_text("utf-8")
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
ZENODO = json.loads((ROOT / ".zenodo.json").read_text("utf-8"))


def test_version_and_title_are_the_same_wherever_one_cites():
    assert CITATION["version"] == version.number()
    assert f"version = {{{version.number()}}}" in CITE
    assert f"title   = {{{CITATION['title']}}}" in CITE
    assert ZENODO["title"] == CITATION["title"]
    assert CITATION["repository-code"] == repository.address()[0]
    assert f"url     = {{{CITATION['repository-code']}}}" in CITE


def test_zenodo_finds_what_it_needs_and_the_paper():
    wanted = {"title", "description", "creators", "license", "upload_type", "keywords"}
    assert wanted <= set(ZENODO)
    assert [one["name"] for one in ZENODO["creators"]] == [
        author["name"] for author in CITATION["authors"]
    ]
    paper = {"identifier": "arXiv:1703.04933", "scheme": "arxiv", "relation": "isSupplementTo"}
    assert paper in ZENODO["related_identifiers"]


def test_notes_of_a_tag_are_its_part_of_the_changelog(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    log = (
        "# Changelog\n\nNewest first.\n\n## 1.2.0, today\n\n- A page.\n\n## 1.1.0, before\n\n- B.\n"
    )
    (tmp_path / "CHANGELOG.md").write_text(log)
    assert version.notes("v1.2.0", tmp_path) == "- A page."
    with pytest.raises(ValueError, match=r"v1\.3\.0 needs version 1\.3\.0 in pyproject\.toml, got"):
        version.notes("v1.3.0", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text(log.replace("1.2.0", "1.2"))
    with pytest.raises(
        ValueError, match=r"CHANGELOG\.md needs a section 1\.2\.0, got 1\.2, 1\.1\.0"
    ):
        version.notes("v1.2.0", tmp_path)
    assert version.notes(f"v{version.number()}")


def test_a_release_has_no_grader_and_no_instructors_edition():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    steps = re.sub(r"^ *#.*$", "", text, flags=re.M)
    assert not re.search(r"instructor|grader|tools\.guide|make (\S+ )*kit$", steps, re.M)
    files = ["site", "student", "slides", "bank"]
    for name in (*(f"{one}.zip" for one in files), "book-student.pdf", "book-solutions.pdf"):
        assert name in steps
