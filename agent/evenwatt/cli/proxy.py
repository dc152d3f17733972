"""`evenwatt proxy`: the process that stands before an engine and counts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evenwatt.cli.app import ConfigOption, app
from evenwatt.cli.logs import LogFormat, LogFormatOption, log_to_stderr
from evenwatt.errors import ConfigError

if TYPE_CHECKING:
    from evenwatt.config import Proxy, ProxyClient
    from evenwatt.proxy.clients import ClientRule
    from evenwatt.proxy.settings import ProxySettings

__all__ = ["proxy"]

_NONE_CONFIGURED = (
    "proxy: there is none to run; name the engine with --upstream, such as http://127.0.0.1:11435, or "
    "write the section proxy into the configuration"
)
_FLAGS_NAME = "proxy"


@app.command()
def proxy(
    config: ConfigOption = None,
    upstream: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The engine: http://, https:// or unix:/path. Instead of the file."),
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where clients come in, with --upstream.")
    ] = "127.0.0.1:11434",
    metrics_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where /metrics is, with --upstream.")
    ] = "127.0.0.1:9788",
    metrics_open_to_all: Annotated[
        bool,
        typer.Option("--metrics-open-to-all", help="Other machines may read /metrics, with --upstream."),
    ] = False,
    state: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where the totals are kept, with --upstream.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="auto, ollama, vllm, sglang, llamacpp or other, with --upstream.")
    ] = "auto",
    ask_for_usage: Annotated[
        bool, typer.Option(help="Ask streams for their usage, and hide it again, with --upstream.")
    ] = True,
    log_format: LogFormatOption = LogFormat.AUTO,
) -> None:
    """Stand before an engine, pass everything on unchanged, and count every token."""
    from evenwatt.cli.agent import keep_memory_small, tell_where_it_hangs
    from evenwatt.config import load, parse_proxy
    from evenwatt.proxy.server import run_proxies

    def settings() -> "tuple[ProxySettings, ...]":
        if upstream is None:
            found = load(config).proxy
        else:
            flags = {
                "name": _FLAGS_NAME,
                "upstream": upstream,
                "listen": listen,
                "metrics_listen": metrics_listen,
                "metrics_open_to_all": str(metrics_open_to_all),
                "state": None if state is None else str(state.absolute()),
                "engine": engine,
                "ask_for_usage": str(ask_for_usage),
            }
            found = (parse_proxy(flags),)
        if not found:
            raise ConfigError((_NONE_CONFIGURED,))
        return tuple(_settings(entry) for entry in found)

    log_to_stderr(log_format)
    tell_where_it_hangs()
    keep_memory_small()
    run_proxies(settings(), settings)


def _settings(entry: "Proxy") -> "ProxySettings":
    from evenwatt.config import default_proxy_state
    from evenwatt.proxy.settings import ProxySettings

    return ProxySettings(
        name=entry.name,
        upstream=entry.upstream,
        listen=(entry.listen.host, entry.listen.port),
        metrics_listen=(entry.metrics_listen.host, entry.metrics_listen.port),
        state=entry.state or default_proxy_state(entry.name),
        engine=None if entry.engine == "auto" else entry.engine,
        asks_for_usage=entry.ask_for_usage,
        keeps_host=entry.keep_host,
        ca_file=entry.ca_file,
        drain_seconds=entry.drain_seconds,
        clients=tuple(_rule(client) for client in entry.clients),
    )


def _rule(client: "ProxyClient") -> "ClientRule":
    from evenwatt.proxy.clients import ClientRule

    has_user = client.user == "*"
    return ClientRule(
        name=client.name if client.name is not None else client.value,
        api_key=None if client.api_key is None else client.api_key.get_secret_value(),
        header=client.header,
        value=client.value,
        network=client.network,
        user=None if has_user else client.user,
        has_user=has_user,
    )
