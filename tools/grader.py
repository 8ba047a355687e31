"""The grader's part of the kit: for each homework what students get, and what marks it.

`write` makes hwN/student/hwN.ipynb to give away, and to keep hwN/hwN-with-solutions.ipynb,
hwN/autograder/hwN.zip and README.md. The seeds come from the teacher's SEED; nobody can read it off
what the students get.
"""

import hashlib
import json
import subprocess
import sys
import zipfile

import nbformat

from tools import ROOT, environment, grade, kit_environment, limited, master, pages
from tools.homework import reseeded, section
from tools.places import Fault
from tools.plain import Here

ASSIGN = """\
import os, sys
from otter.assign import main
for folder in sys.argv[1:]:
    os.chdir(folder)
    main(os.path.basename(folder) + ".ipynb", ".", no_run_tests=True)
"""
README = """\
# Marking homework

Give your students `{name}/student/{name}.ipynb`, one for each homework, and keep the rest of this
folder: `{name}/{name}-with-solutions.ipynb` is yours to read, `{name}/autograder` marks.
They hand in the notebook as it is. Put what they hand in into one folder, and run

    make grade HW={name} IN=that/folder        (or: python book.py grade HW={name} IN=that/folder)

It writes `marks.csv` into that folder, a row for each file there and in the folders below, and for
each notebook a file of feedback. What is no notebook, does not end within {seconds} seconds of
computing (`SECONDS=` takes another number), or takes more than {memory} GiB of memory, has no mark,
and its row says why: look at it yourself.
In the copy that is marked, `pip install` and its like do nothing.

The data of this class and the hidden arguments come from SEED={seed}: the same SEED makes the same.
A notebook runs in a process of its own and its answers are compared in another, so nothing that it
rebinds counts. But it runs as you, on your machine, where it may find and read your files, and the
keys in `{name}/autograder` are among them: mark what strangers hand in on a machine, or in a
container, that holds nothing else.
"""


def seed_of(seed, purpose):
    """A whole number for one purpose, from which the teacher's SEED cannot be told."""
    return int(hashlib.sha256(f"{seed} {purpose}".encode()).hexdigest()[:6], 16)


def write(kit, folder):
    """The graders of every homework that otter marks, in `folder`."""
    wanted = [hw for hw in kit.course.homeworks if hw.by("otter")]
    cut = {hw.name: sections(hw, kit.book) for hw in wanted}
    own = seed_of(kit.seed, "class")
    keys = _keys([job(hw, cut[hw.name], kit.seed) for hw in wanted])
    titles = {m.homework: m.title for m in kit.course.meetings}
    for hw in wanted:
        place = folder / hw.name
        place.mkdir(parents=True)
        title = f"Homework {hw.name[2:]}: {titles[hw]}"
        made = master.notebook(hw, title, cut[hw.name], own, kit.book.places)
        nbformat.write(made, place / f"{hw.name}.ipynb")
    _assign([folder / hw.name for hw in wanted])
    for hw in wanted:
        _seal(folder / hw.name, {"keys": keys[hw.name], "seed": own})
    words = _readme(wanted[0].name, kit.seed) if wanted else "Nothing is marked.\n"
    (folder / "seed.txt").write_text(f"{kit.seed}\n", encoding="utf-8")
    (folder / "README.md").write_text(words, encoding="utf-8")


def _readme(name, seed):
    limits = {"seconds": grade.SECONDS, "memory": limited.MOST // 2**30}
    return README.format(name=name, seed=seed, **limits)


def sections(homework, book):
    """What a homework takes from each of its chapters, in their order."""
    chapters = dict.fromkeys(task.chapter for task in homework.by("otter"))
    return [_section(homework, f"book/{name}", book) for name in chapters]


def _section(homework, name, book):
    page = book.pages[name]
    tasks = [task for task in homework.by("otter") if f"book/{task.chapter}" == name]
    numbers = {label: k for k, (_, label) in enumerate(pages.EXERCISE.findall(page.text()), 1)}
    return section(page, tasks, Here(name, book.places, book.works, numbers))


def job(homework, cut, seed):
    """What `tools.homework_keys` needs to compute the keys of one homework."""
    own = {"seed": seed_of(seed, "class"), "hidden": seed_of(seed, "hidden")}
    return {"name": homework.name, "sections": [_section_job(one) for one in cut], **own}


def _section_job(cut):
    cells = [reseeded(cell, "SEED") for cell in (cut.own_imports, cut.setup)]
    return {"cells": cells, "questions": [vars(q) | {"id": q.id} for q in cut.questions]}


def _keys(jobs):
    """{homework: its keys}; Fault has a sentence for each question that cannot be asked."""
    found = json.loads(_call(sys.executable, "-m", "tools.homework_keys", said=json.dumps(jobs)))
    faults = [sentence for one in found for sentence in one["faults"]]
    if faults:
        raise Fault("\n".join(faults))
    return {one["name"]: keys["keys"] for one, keys in zip(jobs, found, strict=True)}


def _assign(folders):
    """Run `otter assign` on the master in each folder."""
    _call(kit_environment.python(), "-c", ASSIGN, *folders)


def _call(*command, said=None):
    env = environment.variables(OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT))
    done = subprocess.run(
        list(map(str, command)), input=said, cwd=ROOT, env=env, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise Fault(f"{command[1]} {str(command[2])[:40].split(chr(10))[0]} stopped: {last}")
    return done.stdout


def _seal(place, held):
    """Put keys and seed into the autograder, under a name without otter's date and hash."""
    (made,) = place.glob("autograder/*.zip")
    target = place / "autograder" / f"{place.name}.zip"
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            data = old.read(entry)
            if entry == "otter_config.json":
                config = json.loads(data)
                config["plugins"] = [{"tools.judge.Judge": held}]
                data = json.dumps(config).encode()
            new.writestr(entry, data)
    made.unlink()
    (place / "autograder" / "otter_config.json").unlink()
    (place / f"{place.name}.ipynb").unlink()  # only what students get has their notebook's name
    solved = place / "autograder" / f"{place.name}.ipynb"
    solved.rename(place / f"{place.name}-with-solutions.ipynb")
