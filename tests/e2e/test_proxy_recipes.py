"""The recipes of docs/proxy.md, tried: Ollama moved and moved back, several proxies, nginx in front."""

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
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


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


def test_clients_of_ollama_notice_nothing_of_the_move_and_of_its_undoing(tmp_path):
    """The engine goes to another port, the proxy takes its place, and both go back: one address all along."""
    old_port = free_port()
    url = f"http://127.0.0.1:{old_port}"
    body = body_of("chat", model="tiny-llama", words=3, tokens=4, stream=False)

    def asked():
        with loopback_session() as session:
            return session.post(f"{url}/api/chat", json=body, timeout=10).json()

    ollama = OllamaStandIn(tmp_path, old_port)
    ollama.start()
    answers = [asked()]
    ollama.stop()
    moved = OllamaStandIn(tmp_path)
    moved.start()
    with ProxyProcess(moved.url, tmp_path, port=old_port) as proxy:
        answers.append(asked())
        counted = proxy.tokens()
        proxy.stop()
    moved.stop()
    ollama.start()
    answers.append(asked())
    ollama.stop()

    assert answers == [answers[0]] * 3
    assert counted == {"input": 3, "cached_input": 0, "output": 4}


def test_several_proxies_run_in_one_process(tmp_path):
    """Each before its own engine, with a page and totals of its own."""
    engines = [OllamaStandIn(tmp_path) for _ in range(2)]
    proxies = [ProxyProcess(engine.url, tmp_path, state=tmp_path / engine.url[-5:]) for engine in engines]
    entries = [
        {
            "name": f"p{number}",
            "upstream": engine.url,
            "listen": f"127.0.0.1:{proxy.port}",
            "metrics_listen": f"127.0.0.1:{proxy.metrics_port}",
            "state": str(proxy.state),
        }
        for number, (engine, proxy) in enumerate(zip(engines, proxies, strict=True))
    ]
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"proxy": entries}))
    first, second = proxies
    first.use_config(config)
    for engine in engines:
        engine.start()
    with first, loopback_session() as session:
        for proxy, words in ((first, 3), (second, 5)):
            body = body_of("chat", model="tiny-llama", words=words, tokens=2)
            assert session.post(f"{proxy.url}/api/chat", json=body, timeout=10).ok
        counted = [proxy.tokens()["input"] for proxy in proxies]
    for engine in engines:
        engine.stop()

    assert counted == [3, 5]
