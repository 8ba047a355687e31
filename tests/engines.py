"""Firefox and WebKit as Debian ships them, driven by W3C WebDriver: Playwright drives only its own.

The commands are the same for both; WebKitWebDriver takes them over HTTP, Firefox over its own port.
Debian has both browsers: `apt-get install firefox-esr webkit2gtk-driver xvfb`.
"""

import glob
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager

SIZE = {"width": 1300, "height": 900}
MINIBROWSER = "/usr/lib/*/webkit2gtk-4.1/MiniBrowser"
PATIENCE = 60  # seconds until a browser answers


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def patiently(ask):
    """What `ask` returns, as soon as something listens."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


class Tab:
    """A tab of a browser; `send(command, path, data)` hands a command on and returns its value."""

    def __init__(self, send):
        self.send = send

    def open(self, url):
        self.send("WebDriver:Navigate", "url", {"url": url})

    def back(self):
        self.send("WebDriver:Back", "back", {})

    def run(self, script, *arguments):
        """What `script`, the body of a JavaScript function, returns."""
        data = {"script": script, "args": list(arguments)}
        return self.send("WebDriver:ExecuteScript", "execute/sync", data)

    def drag(self, points):
        """Press the mouse at the first of `points`, in pixels of the window, and lead it along."""
        moves = [
            {"type": "pointerMove", "duration": 20, "x": round(x), "y": round(y)} for x, y in points
        ]
        down, up = {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}
        hand = {"type": "pointer", "id": "hand", "parameters": {"pointerType": "mouse"}}
        actions = [hand | {"actions": [moves[0], down, *moves[1:], up]}]
        self.send("WebDriver:PerformActions", "actions", {"actions": actions})

    def wait(self, script, *arguments):
        """Wait until `script` returns something true."""
        until = time.monotonic() + PATIENCE
        while not self.run(script, *arguments):
            assert time.monotonic() < until, f"waited in vain for {script}"
            time.sleep(0.1)


@contextmanager
def firefox(folder):
    """A tab of Firefox, over Marionette: a message is `length:[0, id, command, data]`."""
    folder.mkdir()
    port = free_port()
    (folder / "user.js").write_text(f'user_pref("marionette.port", {port});\n', encoding="utf-8")
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    command = [program, "--headless", "--no-remote", "--profile", folder, "--marionette"]
    quiet = {"MOZ_HEADLESS_WIDTH": str(SIZE["width"]), "MOZ_HEADLESS_HEIGHT": str(SIZE["height"])}
    with running(command, os.environ | quiet | {"HOME": str(folder)}):
        wire = patiently(lambda: socket.create_connection(("127.0.0.1", port), PATIENCE))
        with wire, wire.makefile("rwb") as talk:
            hear(talk)

            def send(command, _path, data):
                said = json.dumps([0, 1, command, data]).encode()
                talk.write(b"%d:%s" % (len(said), said))
                talk.flush()
                _, _, fault, value = hear(talk)
                assert fault is None, fault
                return value.get("value") if isinstance(value, dict) else value

            send("WebDriver:NewSession", "", {})
            yield Tab(send)


def hear(talk):
    length = b""
    while (digit := talk.read(1)) != b":":
        assert digit, "Firefox hung up."
        length += digit
    return json.loads(talk.read(int(length)))


@contextmanager
def webkit(_folder):
    """A tab of WebKitGTK's small browser, over HTTP, on a screen that nobody sees."""
    port = free_port()
    command = [
        "xvfb-run",
        "-a",
        "-s",
        "-screen 0 1400x1000x24",
        "WebKitWebDriver",
        f"--port={port}",
    ]
    soft = {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1", "LIBGL_ALWAYS_SOFTWARE": "1"}

    def post(path, data):
        address = f"http://127.0.0.1:{port}/session{path}"
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(address, json.dumps(data).encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]

    with running(command, os.environ | soft):
        options = {"binary": glob.glob(MINIBROWSER)[0], "args": ["--automation"]}
        wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        session = patiently(lambda: post("", wanted))["sessionId"]
        tab = Tab(lambda _command, path, data: post(f"/{session}/{path}", data))
        tab.send("", "window/rect", SIZE)
        yield tab


@contextmanager
def running(command, environment):
    """A program and its children, ended as one."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    program = subprocess.Popen(command, env=environment, start_new_session=True, **quiet)
    try:
        yield
    finally:
        os.killpg(program.pid, 15)
        program.wait()


def missing(engine):
    """The programs that this machine lacks for `engine`."""
    if engine is firefox:
        return [] if shutil.which("firefox-esr") or shutil.which("firefox") else ["firefox"]
    lacking = [name for name in ("WebKitWebDriver", "xvfb-run") if not shutil.which(name)]
    return lacking + [MINIBROWSER] * (not glob.glob(MINIBROWSER))
