"""A server that keeps what a simulator posts to it, as the addon's controller would."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

SECRET = "s"


class Listener:
    """Use it as a context manager.

    ``requests`` holds the values of a ``WebhookRequest``, by their names; ``status`` is
    answered to whatever comes.
    """

    def __init__(self):
        self.requests: list[dict] = []
        self.status = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.listener = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback/7/{SECRET}"

    def __enter__(self):
        threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        ).start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        listener = self.server.listener
        query = urlsplit(self.path).query
        listener.requests.append(
            {
                "path_secret": SECRET,
                "headers": dict(self.headers),
                "body": self.rfile.read(int(self.headers["content-length"])),
                "query": dict(parse_qsl(query)),
                "url": f"{listener.url}?{query}" if query else listener.url,
            }
        )
        self.send_response(listener.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        pass
