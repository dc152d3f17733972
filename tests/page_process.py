"""Serves a file as /metrics, or a folder by its paths, and prints its port, then each path asked for.

    python page_process.py [ANYTHING ...] -- FILE PORT NAME [ADDRESS]

It listens on loopback or ADDRESS, at any free port if PORT is 0, and takes NAME as its process name if there
is one.
"""

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        print(self.path, flush=True)
        wanted = page / self.path.strip("/") if page.is_dir() else page
        is_there = wanted.is_file() and (page.is_dir() or self.path == "/metrics")
        body = wanted.read_bytes() if is_there else b""
        self.send_response(200 if is_there else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    file, port, name, *addresses = sys.argv[sys.argv.index("--") + 1 :]
    page = Path(file)
    if name:
        Path("/proc/self/comm").write_text(name, encoding="ascii")
    server = HTTPServer((*(addresses or ["127.0.0.1"]), int(port)), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever(0.02)
