"""What every test may ask for: the ledger, the built site, a browser."""

import os

import ledger as book_ledger
import pytest

RECORDS = pytest.StashKey[list]()


def pytest_addoption(parser):
    text = "check: every statement was tested and book/ledger.md is fresh; write: write that page"
    parser.addoption("--ledger", choices=("check", "write"), default=None, help=text)


def pytest_configure(config):
    config.stash[RECORDS] = []


def pytest_collection_modifyitems(items):
    """Long things first: the site is built by one worker while another runs the chapters."""
    items.sort(
        key=lambda item: (item.get_closest_marker("site") is None, item.path.suffix == ".py")
    )


@pytest.fixture(scope="session")
def ledger(pytestconfig):
    """ledger("theorem-3-hessian", error=e, tol=1e-11): assert it, and keep it for the ledger."""
    book = book_ledger.Ledger(lambda: os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0])
    yield book
    pytestconfig.stash[RECORDS].extend(book.worst.values())


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
    where = ("tests/ledger.py", 0, "ledger")
    report = pytest.TestReport(
        "tests/ledger.py::complete", where, {}, outcome, "\n".join(faults) or None, "call"
    )
    session.config.hook.pytest_runtest_logreport(report=report)
    if faults:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
