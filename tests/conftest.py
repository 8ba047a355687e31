"""What every test may ask for: the ledger, the built site, a browser."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tools import ROOT
from tools import browser as browsers
from tools import ledger as book_ledger

RECORDS = pytest.StashKey[list]()


def pytest_addoption(parser):
    text = "check: every statement was tested and book/ledger.md is fresh; write: write that page"
    parser.addoption("--ledger", choices=("check", "write"), default=None, help=text)


def pytest_configure(config):
    config.stash[RECORDS] = []
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what we start would ignore it


def pytest_collection_modifyitems(items):
    """Long things first: one worker builds the site and reads it, another runs the chapters."""
    first = {"test_site.py": 0, "test_reader_runs.py": 1}
    items.sort(key=lambda item: first.get(item.path.name, 2))


@pytest.fixture(scope="session")
def ledger(pytestconfig):
    """ledger("theorem-3-hessian", error=e, tol=1e-11): assert it, and keep it for the ledger."""
    book = book_ledger.Ledger(lambda: os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0])
    yield book
    pytestconfig.stash[RECORDS].extend(book.worst.values())


@pytest.fixture(scope="session")
def site(pytestconfig, testrun_uid):
    """The built site, `_build/html`: built as a reader would, warnings as errors.

    Once a run: while one worker reads the pages, no other writes them again.
    """
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", ".", "-W", "--keep-going"]
    built = ROOT / "_build" / ".built-for-tests"
    built.parent.mkdir(exist_ok=True)
    with FileLock(ROOT / "_build" / ".lock"), capture.global_and_fixture_disabled():
        if not built.exists() or built.read_text() != testrun_uid:
            built.unlink(missing_ok=True)
            done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
            assert done.returncode == 0, "The site does not build; its own words are above."
            built.write_text(testrun_uid)
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def browser():
    """A running headless browser; with CI set, none is a failure."""
    try:
        browsers.path()
    except RuntimeError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    with browsers.browser() as running:
        yield running


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """A worker has ended: take over what its tests recorded."""
    rows = getattr(node, "workeroutput", {}).get("ledger", [])
    node.config.stash[RECORDS].extend(book_ledger.Record(*row) for row in rows)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    """Hand the records on (in a worker), or close the ledger (in the session itself)."""
    config = session.config
    rows = config.stash[RECORDS]
    if hasattr(config, "workeroutput"):
        config.workeroutput["ledger"] = [tuple(vars(row).values()) for row in rows]
    elif config.getoption("--ledger"):
        close_ledger(session, rows)


def close_ledger(session, rows):
    """Report the ledger as one more test, so that it counts in the closing line."""
    fresh = book_ledger.page(rows)
    if session.config.getoption("--ledger") == "write":
        book_ledger.PAGE.write_text(fresh, encoding="utf-8")
    faults = [*book_ledger.unchecked(rows), *book_ledger.out_of_date(fresh)]
    outcome = "failed" if faults else "passed"
    where = ("tools/ledger.py", 0, "ledger")
    report = pytest.TestReport(
        "tools/ledger.py::complete", where, {}, outcome, "\n".join(faults) or None, "call"
    )
    session.config.hook.pytest_runtest_logreport(report=report)
    if faults:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
