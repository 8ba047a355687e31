"""Serves the built site on this machine: the port is taken before anything is built."""

import functools
import http.server
import os
import re
import socket
import sys
import threading

from tools import ROOT

SITE = ROOT / "_build" / "html"
HOST = "127.0.0.1"
TRIES = 20


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the site, without a line for each on the console."""

    # Windows may have another type for scripts in its registry, and browsers then refuse them.
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript"
    }

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = os.name != "nt"  # there it would share a port that another listens on

    def handle_error(self, *request):
        """Say nothing of a reader who went on before the page had come."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*request)


def wished():
    """The port that PORT names, else 8000."""
    port = os.environ.get("PORT") or "8000"
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise SystemExit(
            f"PORT needs a whole number from 1 to 65535, got {port!r}: the book is served there."
        )
    return int(port)


def reserve(port):
    """A server that holds `port`, or the next free one, and answers nobody yet."""
    for candidate in range(port, min(port + TRIES, 65536)):
        if answered(candidate):
            continue
        handler = functools.partial(Handler, directory=str(SITE))
        server = Server((HOST, candidate), handler, bind_and_activate=False)
        try:
            server.server_bind()
        except OSError:
            server.server_close()
            continue
        if candidate != port:
            print(f"Port {port} is taken: the book will be at port {candidate}.", flush=True)
        return server
    raise SystemExit(f"PORT needs a free port, got {port}: it and the next {TRIES - 1} are taken.")


def answered(port):
    """Whether another program listens there, at either of this machine's addresses."""
    try:
        socket.create_connection(("localhost", port), timeout=0.3).close()
    except OSError:
        return False
    return True


def serve(server):
    """Answer until Ctrl-C."""
    server.server_activate()
    print(f"The book is at http://localhost:{server.server_port}  (stop with Ctrl-C)", flush=True)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
        server.shutdown()
