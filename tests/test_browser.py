"""Finding a browser: an honest answer on every kind of machine.

Oracle: stand-in programs in an empty folder, so that nothing depends on this machine's own browser.
"""

import pytest

from tools import browser


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose PATH is one empty folder, and a way to put programs there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    monkeypatch.setattr(browser, "APPS", ())
    monkeypatch.setattr(browser, "playwrights_own", lambda: str(tmp_path / "playwright"))

    def put(name, answer="echo Chromium 150.0"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
        program.chmod(0o755)
        return str(program)

    return put


def test_a_shell_without_windows_comes_first_then_chromium_chrome_and_playwright(machine):
    machine("google-chrome")
    machine("playwright")
    chromium = machine("chromium")
    assert browser.find() == chromium
    without_windows = machine("chromium-headless-shell")
    assert browser.find() == without_windows


def test_playwrights_own_is_the_last_resort(machine):
    assert browser.find() is None
    own = machine("playwright")
    assert browser.find() == own


def test_a_stub_that_does_not_start_is_passed_over(machine):
    machine("chromium-browser", "echo 'install the snap' >&2; exit 1")
    assert browser.find() is None


def test_the_environment_wins_and_is_checked(machine, monkeypatch):
    machine("chromium")
    monkeypatch.setenv("BROWSER_PATH", mine := machine("mine"))
    assert browser.find() == mine
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    with pytest.raises(RuntimeError, match="BROWSER_PATH needs to be a browser that starts"):
        browser.find()


def test_debian_gets_the_shell_or_else_chromium_and_the_rest_playwrights_own(machine, monkeypatch):
    machine("apt-get")
    monkeypatch.setattr(browser.os, "geteuid", lambda: 0, raising=False)
    last = [" ".join(commands[-1]) for commands in browser.recipes()]
    assert len(last) == 3
    assert "apt-get install" in last[0] and " chromium-headless-shell " in last[0]
    assert "apt-get install" in last[1] and " chromium " in last[1]
    assert "playwright install" in last[2]


def test_a_missing_browser_is_installed_or_asked_for(machine, monkeypatch, tmp_path):
    installer = machine("get-one", f'printf "#!/bin/sh\\necho 1\\n" > {tmp_path}/chromium')
    make_it_run = machine("allow", f"/bin/chmod 755 {tmp_path}/chromium")
    monkeypatch.setattr(browser, "recipes", lambda: [([installer], [make_it_run])])
    browser.path.cache_clear()
    assert browser.path() == str(tmp_path / "chromium")
    (tmp_path / "chromium").unlink()
    monkeypatch.setattr(browser, "recipes", lambda: [([machine("fails", "exit 1")],)])
    browser.path.cache_clear()
    with pytest.raises(RuntimeError, match="install Chromium or Chrome"):
        browser.path()
    browser.path.cache_clear()
