"""A server of a built site, as GitHub Pages is one: below a prefix, with the site's 404 page."""

import functools
import http.server
import threading
from contextlib import contextmanager


class Pages(http.server.SimpleHTTPRequestHandler):
    """Serves a site below a prefix, with its 404 page, as GitHub Pages does."""

    prefix = "/"

    def translate_path(self, path):
        inside = path.startswith(self.prefix)
        return super().translate_path("/" + path.removeprefix(self.prefix) if inside else "/none")

    def send_error(self, code, *_):
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        with open(f"{self.directory}/404.html", "rb") as page:
            self.wfile.write(page.read())

    def log_message(self, *_):
        pass


@contextmanager
def served(site, prefix="/"):
    """The address of a server of `site`."""
    kind = type("Below", (Pages,), {"prefix": prefix})
    handler = functools.partial(kind, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
        server.shutdown()
