"""The section of the proxies: what stands before which engine, and who its clients are."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, PlainValidator, model_validator

from evenwatt.config.credentials import ApiKey
from evenwatt.config.engines import EngineName
from evenwatt.config.parsers import matching_text, number, one_of
from evenwatt.config.places import default_history_path
from evenwatt.config.refusals import refused, unexpected
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
        PydanticCustomError: It is none of these.
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


class ProxyClient(Section):
    """A rule that says whose a request is; all that it asks for has to fit.

    Attributes:
        name: The label; None: the value of the header or user field that the rule asks for.
        user: What the request says of its user; `*`: anything.
    """

    name: Label | None = None
    api_key: ApiKey | None = None
    header: _Header | None = None
    value: Label | None = None
    network: Annotated[IPv4Network | IPv6Network, PlainValidator(_parse_network)] | None = None
    user: Label | None = None

    @model_validator(mode="after")
    def _says_who(self) -> Self:
        asked = (self.api_key, self.header, self.network, self.user)
        if all(value is None for value in asked):
            text = "missing; write what tells this client: api_key, header, network or user"
            raise refused({("name",): text})
        if self.value is not None and self.header is None:
            raise refused({("value",): "stands alone; write the header that it is the value of"})
        if self.name is None and self.value is None and self.header is None and self.user != "*":
            raise refused({("name",): "missing; only a header or user: '*' can name a client by itself"})
        return self


class Proxy(Section):
    """A proxy before one engine.

    Attributes:
        state: The folder of its totals; None: one of that name below the history's folder.
        engine: What is behind it; auto: asked.
        ask_for_usage: Ask a stream for its usage where the client did not, and hide it again.
        metrics_open_to_all: Whether other machines may read its totals, for which nobody is asked a password.
        keep_host: Hand the client's Host header on; otherwise the engine sees its own.
    """

    name: EngineName
    upstream: Annotated[str, PlainValidator(_parse_upstream)]
    listen: ListenAddress = Address(host="127.0.0.1", port=11434)
    metrics_listen: ListenAddress = Address(host="127.0.0.1", port=9788)
    metrics_open_to_all: Flag = False
    state: AbsolutePath | None = None
    engine: Annotated[_ProxyEngine, one_of(*get_args(_ProxyEngine))] = "auto"
    ask_for_usage: Flag = True
    keep_host: Flag = True
    ca_file: AbsolutePath | None = None
    drain_seconds: Annotated[float, number(at_least=0, at_most=3_600)] = 30.0
    clients: tuple[ProxyClient, ...] = Field(default=(), max_length=_MOST_CLIENTS)

    @model_validator(mode="after")
    def _shows_its_totals_only_when_told_so(self) -> Self:
        if not self.metrics_open_to_all and not self.metrics_listen.is_loopback:
            text = (
                f"got {self.metrics_listen}, where other machines can read who asked for how much; listen on "
                "127.0.0.1, or write metrics_open_to_all: true if that is meant"
            )
            raise refused({("metrics_listen",): text})
        return self


def default_proxy_state(name: str) -> Path:
    """Return the folder of a proxy's totals: beside the history, as one more user's state."""
    return default_history_path().parent / "proxy" / name
