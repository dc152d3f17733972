"""The recipe for nginx in docs/proxy.md, tried with nginx where there is one."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from engine_process import free_port, loopback_session
from ollama_stand_in import OllamaStandIn
from proxy_load import body_of
from proxy_process import ProxyProcess

DOCUMENT = Path(__file__).parents[2] / "docs" / "proxy.md"
NGINX = os.environ.get("NGINX") or shutil.which("nginx")


@pytest.fixture
def behind_nginx(tmp_path):
    """Return a proxy before a stand-in of Ollama, and the URL of an nginx before it, set up by the recipe."""
    (location,) = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    ollama, port = OllamaStandIn(tmp_path), free_port()
    ollama.start()
    paths = [
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    with ProxyProcess(ollama.url, tmp_path) as proxy:
        location = location.replace("127.0.0.1:11434", f"127.0.0.1:{proxy.port}")
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}"
            f"http {{ access_log off; {' '.join(paths)} server {{ listen 127.0.0.1:{port}; {location} }} }}"
        )
        command = [NGINX, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as nginx:
            wait_until_served(port)
            yield proxy, f"http://127.0.0.1:{port}"
            nginx.terminate()
    ollama.stop()


def wait_until_served(port):
    """Wait for nginx to listen."""
    until = time.monotonic() + 10
    while True:
        try:
            with loopback_session() as session:
                session.get(f"http://127.0.0.1:{port}/api/version", timeout=5)
        except OSError:
            assert time.monotonic() < until, "nginx did not start"
            time.sleep(0.05)
        else:
            return


@pytest.mark.skipif(NGINX is None, reason="no nginx on this machine (NGINX=/path/to/nginx names one)")
def test_streams_come_through_nginx_as_they_are_made(behind_nginx):
    """The first line is there long before the last one, and all of it is counted."""
    proxy, url = behind_nginx
    body = body_of("chat", model="tiny-llama", words=3, tokens=50, stream=True)

    with loopback_session() as session:
        began = time.monotonic()
        answer = session.post(
            f"{url}/api/chat", json=body, headers={"X-Fault": "slow"}, stream=True, timeout=30
        )
        lines = answer.iter_lines(chunk_size=1)
        first, first_seconds = json.loads(next(lines)), time.monotonic() - began
        last = json.loads(list(lines)[-1])
        all_seconds = time.monotonic() - began

    assert first["done"] is False
    assert last["done"] is True
    assert first_seconds < all_seconds / 2
    assert proxy.tokens() == {"input": 3, "cached_input": 0, "output": 50}
