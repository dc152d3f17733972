"""The section of the proxies: what stands before which engine, and who its clients are."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from evenwatt.config.credentials import ApiKey
from evenwatt.config.engines import EngineName
from evenwatt.config.parsers import matching_text, number, one_of
from evenwatt.config.places import default_history_path
from evenwatt.config.refusals import KeyPath, unexpected
from evenwatt.config.rules import at_most
from evenwatt.config.section import Section
from evenwatt.config.urls import parse_engine_url
from evenwatt.config.values import AbsolutePath, Address, Flag, Label, ListenAddress

__all__ = ["Proxy", "ProxyClient", "default_proxy_state"]

_MOST_CLIENTS = 100
_UNIX = "unix:"
_ProxyEngine = Literal["auto", "ollama", "vllm", "sglang", "llamacpp", "other"]


def _parse_upstream(text: Any) -> str:
    """Return where an engine is, `http://...`, `https://...` or `unix:/path`.

    Raises:
        Refused: It is none of these.
    """
    if isinstance(text, str) and text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        if path.startswith("/") and path.isprintable():
            return text
    url = parse_engine_url(text) if isinstance(text, str) else None
    if url is None:
        raise unexpected("http://host:port, https://host:port or unix:/path of the engine's socket")
    return url


def _parse_network(value: Any) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value), strict=True)
    except ValueError:
        raise unexpected("a network such as 10.0.0.0/8 or fd00::/8, without host bits") from None


_Header = Annotated[
    str, matching_text(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", "the name of a header, such as X-Team")
]


class ProxyClient(Section, frozen=True, kw_only=True):
    """A rule that says whose a request is; all that it asks for has to fit.

    Attributes:
        name: Label of a client. None: the value of the header or user field.
        api_key (secret): Its key, as it comes in `Authorization`, `x-api-key` or `api-key`; only a keyed
            hash is kept.
        header (name): A header that its requests have.
        value (text): What stands in that header. None: anything.
        network (network): Where its connections come from.
        user (text): What its requests say in `user` (`metadata.user_id` for messages); `"*"`: anything.
    """

    name: Label | None = None
    api_key: ApiKey | None = None
    header: _Header | None = None
    value: Label | None = None
    network: Annotated[IPv4Network | IPv6Network, _parse_network] | None = None
    user: Label | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        asked = (self.api_key, self.header, self.network, self.user)
        if all(value is None for value in asked):
            yield ("name",), "missing; write what tells this client: api_key, header, network or user"
        elif self.value is not None and self.header is None:
            yield ("value",), "stands alone; write the header that it is the value of"
        elif self.name is None and self.value is None and self.header is None and self.user != "*":
            yield ("name",), "missing; only a header or user: '*' can name a client by itself"


class Proxy(Section, frozen=True, kw_only=True):
    """A proxy before one engine.

    Attributes:
        name: Its name in logs, and of its state folder; as for engines.
        upstream (URL): The engine: `http://`, `https://` with or without a path before all others, or
            `unix:/path` of its socket.
        listen (host:port): Where clients come in.
        metrics_listen (host:port): Where its own `/metrics` is, which no path of an engine can collide
            with.
        metrics_open_to_all (yes or no): Other machines may read its totals, without TLS and without a
            password; else that is refused.
        state (folder): Its totals and the secret that keys are hashed with: `proxy/<name>` beside the
            history. None: by platform.
        engine: `ollama`, `vllm`, `sglang`, `llamacpp`, `other`, or `auto` to ask it.
        ask_for_usage (yes or no): Ask OpenAI-style streams for their usage where the client did not, and
            hide it again.
        keep_host (yes or no): The engine sees the Host header of the client; else its own.
        ca_file (file): Certificates that an `https://` engine is trusted by. None: the system's.
        drain_seconds (seconds): That running answers get to end when it is stopped, 0 to 3600.
    """

    name: EngineName
    upstream: Annotated[str, _parse_upstream]
    listen: ListenAddress = Address(host="127.0.0.1", port=11434)
    metrics_listen: ListenAddress = Address(host="127.0.0.1", port=9788)
    metrics_open_to_all: Flag = False
    state: AbsolutePath | None = None
    engine: Annotated[_ProxyEngine, one_of(*get_args(_ProxyEngine))] = "auto"
    ask_for_usage: Flag = True
    keep_host: Flag = True
    ca_file: AbsolutePath | None = None
    drain_seconds: Annotated[float, number(at_least=0, at_most=3_600)] = 30.0
    clients: Annotated[tuple[ProxyClient, ...], at_most(_MOST_CLIENTS)] = ()

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if not self.metrics_open_to_all and not self.metrics_listen.is_loopback:
            text = (
                f"got {self.metrics_listen}, where other machines can read who asked for how much; listen on "
                "127.0.0.1, or write metrics_open_to_all: true if that is meant"
            )
            yield ("metrics_listen",), text


def default_proxy_state(name: str) -> Path:
    """Return the folder of a proxy's totals: beside the history, as one more user's state."""
    return default_history_path().parent / "proxy" / name
