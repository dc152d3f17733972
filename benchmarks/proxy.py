"""What stands between a client and an engine costs: nothing, nginx, LiteLLM, ours, side by side.

nginx and LiteLLM are measured where their commands are found: `nginx` and `litellm` in the path, or named by
the environment variables NGINX and LITELLM.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.figures import Table, quantile
from engine_process import free_port
from proxy_process import ProxyProcess

FIRST_BYTES = 300
REST_SECONDS = 0.01
PACE_SECONDS = 0.02
PACED_STREAMS = 40
PACED_EVENTS = 100
WHOLE_SECONDS = 3.0
WHOLE_AT_ONCE = 16
MANY_STREAMS = 500
ADDED_MILLISECONDS = 1.0
ADDED_OVER_NGINX = 3.0
READY_SECONDS = 90.0
UPSTREAM = Path(__file__).with_name("proxy_upstream.py")


def run(_seconds):
    table = Table(
        "proxy",
        f"Streamed chat through each: {FIRST_BYTES} requests for the first byte, one through each in turn, "
        f"each {REST_SECONDS * 1e3:g} ms after the end of the answer before, "
        f"{PACED_STREAMS} streams of an event each {PACE_SECONDS * 1e3:g} ms for events per second of CPU, "
        f"{WHOLE_AT_ONCE} clients for requests per second, {MANY_STREAMS} streams for memory.",
    )
    with tempfile.TemporaryDirectory(prefix="evenwatt-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        quick, paced = (stack.enter_context(engine(pace)) for pace in (0.0, PACE_SECONDS))
        with contextlib.ExitStack() as started:
            to_quick = {what: started.enter_context(start(quick)) for what, start in ways(folder)}
            first_byte_figures(table, {what: port for what, (port, _) in to_quick.items()})
            for what, (port, _) in to_quick.items():
                table.add(f"{what}: requests per second", asyncio.run(whole_requests(port)), "1/s")
        for what, start in ways(folder):
            with start(paced) as to_paced:
                stream_figures(table, what, *to_paced)
    return table


def first_byte_figures(table, ports):
    """One request through each way in turn, so that what else the machine does meets them all alike."""
    waits = asyncio.run(first_bytes(ports.values()))
    p50s, p99s = ([quantile(each, share) for each in waits] for share in (0.5, 0.99))
    table.add("direct: first byte p50", p50s[0], "ms")
    table.add("direct: first byte p99", p99s[0], "ms")
    added = {what: p50 - p50s[0] for what, p50 in zip(ports, p50s, strict=True)}
    for what, p99 in list(zip(ports, p99s, strict=True))[1:]:
        budget = ADDED_MILLISECONDS if what == "evenwatt" else None
        table.add(f"{what}: added to the first byte, p50", added[what], "ms", budget)
        table.add(f"{what}: added to the first byte, p99", p99 - p99s[0], "ms")
    if "nginx" in ports:
        ratio = added["evenwatt"] / added["nginx"]
        table.add("evenwatt: added to the first byte, p50, over nginx's", ratio, "times", ADDED_OVER_NGINX)


def stream_figures(table, what, port, pids):
    if pids:
        cpu = cpu_seconds(pids)
        asyncio.run(streams(port, PACED_STREAMS, PACED_EVENTS))
        used = cpu_seconds(pids) - cpu
        table.add(f"{what}: events per second of CPU", PACED_STREAMS * PACED_EVENTS / used, "1/s")
        table.add(f"{what}: resident", resident_mib(pids), "MiB")
        grown = asyncio.run(grown_by_streams(port, pids))
        table.add(f"{what}: resident, with {MANY_STREAMS} streams more", grown, "MiB")


# --- the ways -----------------------------------------------------------------------------------------------


def ways(folder):
    yield "direct", lambda port: contextlib.nullcontext((port, ()))
    nginx = os.environ.get("NGINX") or shutil.which("nginx")
    if nginx:
        yield "nginx", lambda port: nginx_before(nginx, port, folder)
    yield "evenwatt", lambda port: evenwatt_before(port, folder)
    litellm = os.environ.get("LITELLM") or shutil.which("litellm")
    if litellm:
        yield "LiteLLM", lambda port: litellm_before(litellm, port, folder)


@contextlib.contextmanager
def engine(pace):
    port = free_port()
    with process([sys.executable, str(UPSTREAM), str(port), str(pace)]):
        wait_until_open(port)
        yield port


@contextlib.contextmanager
def evenwatt_before(port, folder):
    with ProxyProcess(f"http://127.0.0.1:{port}", folder, state=folder / f"state-{port}") as proxy:
        yield proxy.port, (proxy.pid,)


@contextlib.contextmanager
def nginx_before(command, port, folder):
    own = folder / f"nginx-{port}"
    own.mkdir(exist_ok=True)
    listening = free_port()
    paths = "".join(
        f"{name}_temp_path {own}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (own / "nginx.conf").write_text(
        f"""
        daemon off; worker_processes 1; pid {own}/pid; error_log {own}/error.log;
        events {{ worker_connections 4096; }}
        http {{ access_log off; {paths}
            upstream engine {{ server 127.0.0.1:{port}; keepalive 64; }}
            server {{ listen 127.0.0.1:{listening} backlog=1024; keepalive_requests 1000000;
                location / {{ proxy_pass http://engine; proxy_http_version 1.1; proxy_buffering off;
                    proxy_set_header Connection ""; proxy_request_buffering off; }} }} }}
        """
    )
    with process([command, "-p", str(own), "-c", str(own / "nginx.conf")]) as started:
        wait_until_open(listening)
        yield listening, pids_of(started)


@contextlib.contextmanager
def litellm_before(command, port, folder):
    listening = free_port()
    config = folder / f"litellm-{port}.yaml"
    parameters = {"model": "openai/bench", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": "none"}
    config.write_text(json.dumps({"model_list": [{"model_name": "bench", "litellm_params": parameters}]}))
    arguments = [
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(listening),
        "--num_workers",
        "1",
    ]
    without_key = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}  # on loopback, for a minute
    with process([command, *arguments], without_key) as started:
        wait_until_open(listening)
        yield listening, pids_of(started)


@contextlib.contextmanager
def process(command, environment=None):
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | (environment or {}), **silent) as started:
        try:
            yield started
        finally:
            started.terminate()


def pids_of(started):
    return (started.pid, *(child.pid for child in psutil.Process(started.pid).children(recursive=True)))


def wait_until_open(port):
    until = time.monotonic() + READY_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > until:
            raise TimeoutError(f"nothing listens on port {port} after {READY_SECONDS} s")
        time.sleep(0.05)


# --- the loads ----------------------------------------------------------------------------------------------


def request(tokens, *, stream):
    message = {"role": "user", "content": "a prompt of a few words"}
    body = json.dumps(
        {"model": "bench", "messages": [message], "stream": stream, "max_tokens": tokens}
    ).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def first_bytes(ports):
    connections = [await asyncio.open_connection("127.0.0.1", port) for port in ports]
    waits = [[] for _ in connections]
    for number in range(FIRST_BYTES + 20):
        for (reader, writer), each in zip(connections, waits, strict=True):
            await asyncio.sleep(REST_SECONDS)  # none meets what the way before does once it has answered
            began = time.perf_counter()
            writer.write(request(3, stream=True))
            received = await reader.readuntil(b"data: ")
            wait = (time.perf_counter() - began) * 1e3
            assert received.startswith(b"HTTP/1.1 200"), received
            await reader.readuntil(b"0\r\n\r\n")
            if number >= 20:
                each.append(wait)
    for _, writer in connections:
        writer.close()
    return waits


async def whole_requests(port):
    until = time.perf_counter() + WHOLE_SECONDS

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.perf_counter() < until:
            writer.write(request(1, stream=False))
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.partition(b":")[2]))
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(one() for _ in range(WHOLE_AT_ONCE)))) / WHOLE_SECONDS


async def streams(port, at_once, events, *, after_first=None):
    began = asyncio.Barrier(at_once + 1)

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(events, stream=True))
        await reader.readuntil(b"data: ")
        await began.wait()
        await reader.readuntil(b"[DONE]") if events * 200 < 60_000 else await drained(reader)
        writer.close()

    async def look():
        await began.wait()
        return None if after_first is None else after_first()

    *_, looked = await asyncio.gather(*(one() for _ in range(at_once)), look())
    return looked


async def drained(reader):
    while not (await reader.read(1 << 16)).endswith(b"0\r\n\r\n"):
        pass


async def grown_by_streams(port, pids):
    before = resident_mib(pids)
    return await streams(port, MANY_STREAMS, 50, after_first=lambda: resident_mib(pids)) - before


def cpu_seconds(pids):
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def resident_mib(pids):
    return sum(psutil.Process(pid).memory_info().rss for pid in pids) / (1 << 20)
