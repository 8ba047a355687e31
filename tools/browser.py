"""A headless browser for the site's tests and the PDF: found, or installed, or asked for by name.

Looked for in this order: $BROWSER_PATH, Chromium, Chrome or Edge on this machine, Playwright's own.
Where there is none: apt installs Chromium (as root), else Playwright downloads its own.
Chromium's headless shell comes first: it makes no windows, and a page costs half the time.
"""

import functools
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

SHELL = "chromium-headless-shell"  # Debian's name
NAMES = (
    *(SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge", "microsoft-edge-stable"),
)
APPS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
# Quiet: the site's tests count every request, so the browser must not make its own.
ARGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--font-render-hinting=none"),
)
ASK = "The site's tests need a browser, got none: install Chromium or Chrome, or set BROWSER_PATH."


def works(path):
    """Does this program start as a browser? Ubuntu's chromium-browser may be an empty stub."""
    if not path or not Path(path).exists():
        return False
    try:
        command = [path, "--headless", "--no-sandbox", "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and any(char.isdigit() for char in answer.stdout)


def playwrights_own():
    """Where Playwright keeps the Chromium it downloads, whether it is there or not."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def find():
    """The path of a browser on this machine, or None."""
    asked = os.environ.get("BROWSER_PATH")
    if asked:
        if works(asked):
            return asked
        raise RuntimeError(f"BROWSER_PATH needs to be a browser that starts, got {asked!r}.")
    candidates = [*map(shutil.which, NAMES), *APPS]
    return next(filter(works, candidates), None) or next(filter(works, [playwrights_own()]), None)


def recipes():
    """The commands that could install a browser here, most native first."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root and shutil.which("apt-get"):
        apt = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")
        fonts = ("fonts-dejavu-core", "fonts-liberation")
        yield ["apt-get", "update", "-qq"], [*apt, SHELL, *fonts]
        yield ([*apt, "chromium", *fonts],)
    extra = ["--with-deps"] if is_root and shutil.which("apt-get") else []
    yield ([sys.executable, "-m", "playwright", "install", *extra, "chromium"],)


def install():
    """Install a browser and say so; its path, or None."""
    for commands in recipes():
        print("No browser here; running:", *commands[-1], file=sys.stderr, flush=True)
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        log = [subprocess.run(c, env=quiet, capture_output=True, check=False) for c in commands]
        if log[-1].returncode == 0 and (path := find()):
            return path
    return None


@functools.cache
def path():
    """The path of a browser. Raises RuntimeError, in one sentence, where none can be had."""
    found = find() or install()
    if not found:
        raise RuntimeError(ASK)
    return found


@contextmanager
def browser(*options):
    """A running headless browser (Playwright's object), with `options` for its command line."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path(), args=[*ARGS, *options])
        try:
            yield running
        finally:
            running.close()
