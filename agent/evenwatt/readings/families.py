"""Where the servers are that an engine starts for its models: one way to find them for each such engine."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from urllib.parse import quote, urlsplit

import psutil

from evenwatt.clock import boot_seconds
from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.adapter import is_address, json_of
from evenwatt.readings.engine import PartAddress
from evenwatt.readings.engines.ollama import loaded_models
from evenwatt.readings.exposition import bounded_text
from evenwatt.readings.http import HttpClient, shown_url
from evenwatt.readings.networks import NetworkHost, is_in_other_network
from evenwatt.readings.parts import LivePart
from evenwatt.readings.process_stat import command_line
from evenwatt.readings.processes import ListenerLookup, ProcessIdentity, is_loopback
from evenwatt.readings.sleep import ServerFacts

__all__ = [
    "HOW_TO_METER_OLLAMA",
    "METRICS_LINE",
    "OLLAMA_ROOT",
    "LlamaRouter",
    "LlamaSwap",
    "OllamaRunners",
    "has_open_pages",
    "is_ollama",
]

_PROC = Path("/proc")
_RUNNER_PROGRAM = "llama-server"
_MANIFEST_BYTES = 2**20
_MODEL_LAYER = "application/vnd.ollama.image.model"
_DEFAULT_HOST, _DEFAULT_NAMESPACE = "registry.ollama.ai", "library"
_SHORT_DIGEST = 19
_LAST_PORT = 2**16 - 1
_TRUE = frozenset({b"1", b"true", b"on", b"enabled"})  # as llama.cpp reads its variables

OLLAMA_ROOT = b"Ollama is running"
"""What Ollama answers at its root."""

METRICS_LINE = "Environment=LLAMA_ARG_ENDPOINT_METRICS=1"
"""What Ollama's unit needs for its llama-servers to have pages of metrics: they inherit its environment."""

HOW_TO_METER_OLLAMA = (
    f"run `systemctl edit ollama`, write `[Service]` and below it `{METRICS_LINE}`, then `systemctl restart "
    "ollama`; where that cannot be, put `evenwatt proxy` before it"
)
_METRICS_VARIABLE = b"LLAMA_ARG_ENDPOINT_METRICS="


def is_ollama(client: HttpClient, base_url: str, ends_boot_seconds: float) -> bool:
    """Return whether an Ollama answers at an address.

    Raises:
        SourceError: Nothing answers.
    """
    answer = client.get(f"{base_url}/", ends_boot_seconds - boot_seconds())
    return answer.status == http.client.OK and answer.body.strip() == OLLAMA_ROOT


def has_open_pages(pid: int) -> bool | None:
    """Return whether an `ollama serve` hands its llama-servers the variable that opens their pages.

    None where its environment may not be read, or is not there: of a process that is just starting, or that
    has given itself a title.
    """
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return None
    if not any(variables):
        return None
    values = [v.removeprefix(_METRICS_VARIABLE) for v in variables if v.startswith(_METRICS_VARIABLE)]
    return any(value.lower() in _TRUE for value in values)


class LlamaRouter:
    """The servers of a llama-server that routes to several models.

    On this machine each is asked on its own port, elsewhere through the router, and then with
    `autoload=false`: without it a question for the page of a model loads it.
    """

    def __init__(self, client: HttpClient, base_url: str) -> None:
        self._client = client
        self._base_url = base_url
        self._lookup = _lookup(base_url)

    def __call__(self, ends_boot_seconds: float) -> tuple[LivePart, ...]:
        """Return the models that are loaded, asleep or not.

        Raises:
            SourceError: The router does not say.
        """
        answer = self._client.get(f"{self._base_url}/models", ends_boot_seconds - boot_seconds())
        match json_of(answer.ok_body()):
            case {"data": [*models]}:
                host = _host_below(self._lookup)
                parts = (self._part(listed, host) for listed in models)
                return tuple(part for part in parts if part is not None)
        raise SourceContractError(
            f"{answer.url} lists no models; expected those of a llama-server that routes"
        )

    def _part(self, listed: object, host: str | None) -> LivePart | None:
        match listed:
            case {"id": str(model), "status": {"value": "loaded" | "sleeping" as state, **status}} if model:
                port = _port(status.get("args"))
            case _:
                return None
        model = bounded_text(model)
        if host is not None and port is not None:
            url, address = f"http://{host}:{port}", PartAddress(model=model)
        else:
            url, address = (
                self._base_url,
                PartAddress(
                    model=model,
                    page_path=f"/metrics?model={quote(model, safe='')}&autoload=false",
                    facts=ServerFacts(is_sleeping=state == "sleeping"),
                ),
            )
        return LivePart(name=f"{model}@{port or ''}", kind="llamacpp", url=url, address=address)


class LlamaSwap:
    """The servers behind llama-swap, which counts no tokens itself."""

    def __init__(self, client: HttpClient, base_url: str, *, is_here: bool) -> None:
        self._client = client
        self._base_url = base_url
        self._is_here = is_here

    def __call__(self, ends_boot_seconds: float) -> tuple[LivePart, ...]:
        """Return the models that run.

        Raises:
            SourceError: llama-swap does not say where they are.
        """
        answer = self._client.get(f"{self._base_url}/running", ends_boot_seconds - boot_seconds())
        match json_of(answer.ok_body()):
            case {"running": [*models]}:
                return tuple(self._parts(models, answer.url))
        raise SourceContractError(f"{answer.url} is no list of running models; expected that of llama-swap")

    def _parts(self, models: list[object], url: str) -> Iterator[LivePart]:
        for listed in models:
            match listed:
                case {"model": str(model), "state": "ready", "proxy": str(upstream)} if is_address(upstream):
                    if not self._is_here and is_loopback(urlsplit(upstream).hostname or ""):
                        raise SourceContractError(
                            f"{url} says that its models answer at {shown_url(upstream)}, which is the "
                            "loopback of another machine; run an agent there"
                        )
                    yield LivePart(
                        name=f"{bounded_text(model)}@{urlsplit(upstream).netloc}",
                        kind=None,
                        url=upstream,
                        address=PartAddress(model=bounded_text(model)),
                        takes_key=False,
                    )
                case {"state": "ready"}:
                    raise SourceContractError(
                        f"{url} does not say where its models answer; update llama-swap, or name the engines "
                        "behind it in `engines:`"
                    )


class OllamaRunners:
    """The llama-servers that an `ollama serve` of this machine has started, found below its process."""

    def __init__(self, client: HttpClient, base_url: str) -> None:
        self._client = client
        self._base_url = base_url
        self._lookup = _lookup(base_url)
        self._found: dict[ProcessIdentity, LivePart] = {}

    def __call__(self, ends_boot_seconds: float) -> tuple[LivePart, ...]:
        """Return the models that are loaded.

        Raises:
            SourceUnavailable: The process of Ollama cannot be seen.
        """
        listener = self._lookup.listener()
        if listener is None or listener.process is None:
            raise SourceUnavailable(
                f"the process behind {self._base_url} cannot be seen, and so not its llama-servers: it is "
                "down, in a container, or on another machine. Run the agent beside it and as root, or meter "
                "it with `evenwatt proxy`"
            )
        if has_open_pages(listener.process.pid) is False:
            raise SourceContractError(
                f"the llama-servers of {self._base_url} have no pages of metrics, and Ollama counts nothing "
                f"itself: {HOW_TO_METER_OLLAMA}"
            )
        living = {}
        for identity, command in _children(listener.process.pid):
            part = self._found.get(identity) or self._part(identity, command, ends_boot_seconds)
            if part is not None:
                living[identity] = part
        self._found = living
        return tuple(living.values())

    def _part(
        self, identity: ProcessIdentity, command: list[str], ends_boot_seconds: float
    ) -> LivePart | None:
        port, file = _port(command), _option(command, "--model") or _option(command, "-m")
        if port is None:
            return None
        model = _option(command, "--alias") or self._model(file or "", ends_boot_seconds)
        return LivePart(
            name=f"{identity.pid}-{identity.start_ticks}",
            kind="llamacpp",
            url=f"http://{_host_of(identity)}:{port}",
            address=PartAddress(model=bounded_text(model)),
        )

    def _model(self, file: str, ends_boot_seconds: float) -> str:
        """Return the name under which Ollama serves a file of weights."""
        blob = PurePath(file)
        digest = blob.name.replace("sha256-", "sha256:", 1)
        names = _names_of(digest, Path(blob.parent.parent) / "manifests")
        answer = self._client.get(f"{self._base_url}/api/ps", ends_boot_seconds - boot_seconds())
        loaded = loaded_models(answer.body) or ()
        both = [name for name in names if name in loaded]
        if both or names:
            return (both or names)[0]
        if len(loaded) == 1:
            return loaded[0]
        return digest[:_SHORT_DIGEST] or "unknown"


def _lookup(base_url: str) -> ListenerLookup:
    parts = urlsplit(base_url)
    port = parts.port or (http.client.HTTPS_PORT if parts.scheme == "https" else http.client.HTTP_PORT)
    return ListenerLookup(parts.hostname or "", port)


def _host_below(lookup: ListenerLookup) -> str | None:
    """Return the host at which the children of a listener listen on loopback; None where it is not seen."""
    listener = lookup.listener()
    return None if listener is None or listener.process is None else _host_of(listener.process)


def _host_of(process: ProcessIdentity) -> str:
    """Return the host that means the loopback of a process, which may be in a container."""
    if not is_in_other_network(process.pid):
        return "127.0.0.1"
    return NetworkHost(pid=process.pid, start_ticks=process.start_ticks).name


def _names_of(digest: str, manifests: Path) -> list[str]:
    """Return the names of the models whose weights have a digest, as Ollama writes them.

    A manifest is a file host/namespace/model/tag that lists the layers of a model.
    """
    names = []
    for file in sorted(manifests.glob("*/*/*/*")):
        try:
            with file.open("rb") as opened:
                manifest = json.loads(opened.read(_MANIFEST_BYTES))
            layers = manifest["layers"]
            if any(layer["mediaType"] == _MODEL_LAYER and layer["digest"] == digest for layer in layers):
                names.append(_written_name(*file.relative_to(manifests).parts))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # what is no manifest names no model
    return names


def _written_name(host: str, namespace: str, model: str, tag: str) -> str:
    parts = [host, namespace, model]
    if host == _DEFAULT_HOST:
        parts = [model] if namespace == _DEFAULT_NAMESPACE else [namespace, model]
    return f"{'/'.join(parts)}:{tag}"


def _children(pid: int) -> Iterator[tuple[ProcessIdentity, list[str]]]:
    """Yield the llama-servers that a process has started, with their command lines."""
    for child in _child_pids(pid):
        command = command_line(child)
        identity = ProcessIdentity.of(child)
        if identity is not None and command and PurePath(command[0]).name.startswith(_RUNNER_PROGRAM):
            yield identity, command


def _child_pids(pid: int) -> list[int]:
    """Return the children of all threads of a process; of any, where the kernel does not list them so."""
    children: list[int] = []
    try:
        for thread in (_PROC / str(pid) / "task").iterdir():
            children += map(int, (thread / "children").read_text(encoding="ascii").split())
    except OSError:
        try:
            return [child.pid for child in psutil.Process(pid).children()]
        except psutil.Error:
            return []
    return children


def _port(command: object) -> int | None:
    """Return the port on a command line; None where it is none that anybody could listen on.

    It becomes a part of an address that is asked with a key, and the line may be told by another machine.
    """
    text = _option(command, "--port") or ""
    if len(text) > len(str(_LAST_PORT)) or not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if 0 < int(text) <= _LAST_PORT else None


def _option(command: object, name: str) -> str | None:
    """Return the value of an option on a command line."""
    if not isinstance(command, list) or name not in command[:-1]:
        return None
    value = command[command.index(name) + 1]
    return value if isinstance(value, str) else None
