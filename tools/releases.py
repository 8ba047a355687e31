"""The site as a zip, and each release under its number: `python -m tools.releases ZIPS SITE`.

ZIPS has a folder for each tag with the site.zip of its release, v1.2.0/site.zip. The newest of v1.2
is unpacked as SITE/v1.2, beside the site of today: what was linked to keeps its address for good,
and no release touches another's folder. The publishing workflow runs this before it publishes.
"""

import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from tools import serve

INSIDE = "sharp-minima-book"  # the one folder in a zip
TAG = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def pack(site, target):
    """Write the built `site` as the zip `target`: unpack it, open index.html, no server needed."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in site.rglob("*") if path.is_file()):
            archive.write(path, f"{INSIDE}/{path.relative_to(site).as_posix()}")


def site_zip(_kit, path):
    """The same, as a part of the kit."""
    pack(serve.SITE, path)


def newest(folder):
    """{"v1.2": the zip of its newest release} of the folders that are named by a tag."""
    found = {}
    for path in folder.glob("*/site.zip"):
        if numbers := TAG.fullmatch(path.parent.name):
            first, second, third = map(int, numbers.groups())
            found.setdefault(f"v{first}.{second}", []).append((third, path))
    return {name: max(zips)[1] for name, zips in sorted(found.items())}


def unpack(archive, target):
    """The site in `archive`, without the one folder around it, as the folder `target`."""
    with (
        tempfile.TemporaryDirectory(dir=target.parent) as place,
        zipfile.ZipFile(archive) as packed,
    ):
        names = [name for name in packed.namelist() if not name.endswith("/")]
        outside = [name for name in names if ".." in Path(name).parts or Path(name).is_absolute()]
        tops = {Path(name).parts[0] for name in names}
        if outside or len(tops) != 1:
            raise ValueError(f"{archive} needs one folder with the site, got {sorted(tops)[:4]}.")
        packed.extractall(place)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(Path(place, *tops), target)


def main(zips, site):
    for name, archive in newest(Path(zips)).items():
        unpack(archive, Path(site) / name)
        print(f"{name}/ is {archive.parent.name}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or not Path(sys.argv[2], "index.html").exists():
        sys.exit("releases needs a folder of releases and that of a built site.")
    main(*sys.argv[1:])
