"""What one proxy is told: plain values, whatever they were read from."""

from pathlib import Path

from msgspec import Struct

from evenwatt.proxy.clients import ClientRule

__all__ = ["ProxySettings"]


class ProxySettings(Struct, frozen=True, kw_only=True):
    """One proxy before one engine.

    Attributes:
        name: In logs.
        upstream: `http://host:port`, `https://host:port` with or without a path before all others, or
            `unix:/path` of a socket.
        listen: Host and port where clients come in; port 0: a free one.
        metrics_listen: Host and port of the page with the totals, which no path of the engine can collide
            with.
        state: The folder of the totals; no other process may use it.
        engine: `ollama`, `vllm`, `sglang`, `llamacpp`, `other`; None: asked.
        asks_for_usage: Whether a stream's usage is asked for where the client did not, and hidden again.
        keeps_host: Whether the engine sees the client's Host header; otherwise its own.
        ca_file: Certificates that a TLS engine is trusted by; None: the system's.
        drain_seconds: How long running answers may take to end when the proxy is stopped.
        idle_seconds: How long a client's connection may be idle, or be without a whole head of a request.
        clients: Who is who; the first rule that fits names a client.
    """

    name: str
    upstream: str
    listen: tuple[str, int]
    metrics_listen: tuple[str, int]
    state: Path
    engine: str | None = None
    asks_for_usage: bool = True
    keeps_host: bool = True
    ca_file: Path | None = None
    drain_seconds: float = 30.0
    idle_seconds: float = 75.0
    clients: tuple[ClientRule, ...] = ()
