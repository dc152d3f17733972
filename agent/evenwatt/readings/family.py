"""An engine as a source, whether it counts itself or the servers that it starts do."""

from contextlib import suppress

from evenwatt.clock import boot_seconds
from evenwatt.errors import SourceContractError, SourceError
from evenwatt.model import EngineReading
from evenwatt.readings.engine import EngineSource, has_nothing_loaded
from evenwatt.readings.engines.generic import CounterNames
from evenwatt.readings.families import LlamaRouter, LlamaSwap, OllamaRunners, is_ollama
from evenwatt.readings.http import HttpClient
from evenwatt.readings.parts import Lister, PartsReader

__all__ = ["FamilySource"]

_LOOK_SECONDS = 1.0
_UNKNOWN = "engine"


class FamilySource:
    """Reads one engine; where its models are processes of their own, each of them.

    An engine that has a page is read as `EngineSource` does. Only where it has none its servers are looked
    for: the children of Ollama, the models of a llama-server that routes, the engines behind llama-swap.

    Args:
        name: The engine's identity in the history.
        url: Its address, with or without /metrics at the end.
        kind: One of `ENGINE_KINDS`; None: as it turns out to be.
        counters: The names of the counters of an engine of another kind, in place of `kind`.
        deadline_seconds: What one reading may take, everything included.
        api_key: Sent as a bearer token.
        role: As `EngineSource` takes it.
    """

    def __init__(
        self,
        *,
        name: str,
        url: str,
        kind: str | None = None,
        counters: CounterNames | None = None,
        deadline_seconds: float = 5.0,
        api_key: str | None = None,
        role: str | None = None,
    ) -> None:
        self.name = name
        self._engine = EngineSource(
            name=name,
            url=url,
            kind=kind,
            counters=counters,
            deadline_seconds=deadline_seconds,
            api_key=api_key,
        )
        self._engine.role = role
        self._client = HttpClient(api_key)
        self._deadline_seconds = deadline_seconds
        self._api_key = api_key
        self._family: tuple[str, PartsReader] | None = None

    @property
    def kind(self) -> str:
        """The engine's kind; `engine` until it has told."""
        return self._engine.kind if self._family is None else self._family[0]

    @property
    def address(self) -> str:
        """Where its page is, or where it answers if its servers are read."""
        return self._engine.address if self._family is None else self._engine.base_url

    @property
    def sample_seconds(self) -> float | None:
        """How often it is looked for servers that come and go."""
        return None if self._family is None else _LOOK_SECONDS

    def sample(self) -> None:
        """See which servers are there, and read those that have been at work."""
        if self._family is not None:
            with suppress(SourceError):
                self._family[1].look(boot_seconds() + self._deadline_seconds)

    def read(self) -> EngineReading:
        """Return what the engine and its servers say now.

        Raises:
            SourceUnavailable: It does not answer, or is not ready.
            SourceContractError: It answers what its kind does not say.
        """
        ends_boot_seconds = boot_seconds() + self._deadline_seconds
        if self._family is None:
            try:
                return self._engine.read()
            except SourceError:
                self._family = self._found_family(ends_boot_seconds)
                if self._family is None:
                    raise
        kind, parts = self._family
        try:
            parts.look(ends_boot_seconds)
        except SourceContractError:
            # Another engine may answer there by now.
            self._let_go()
            raise
        told = parts.parts()
        is_unloaded = parts.is_unloaded
        if is_unloaded and kind == "ollama":
            # Models that are no GGUF have no llama-server.
            is_unloaded = has_nothing_loaded(self._engine.base_url, ends_boot_seconds)
        return self._engine.reading_of_parts(
            kind,
            told,
            is_unloaded=is_unloaded,
            running=parts.running,
            waiting=parts.waiting,
        )

    def close(self) -> None:
        """Let go of all that is held open."""
        self._let_go()
        self._engine.close()
        self._client.close()

    def _let_go(self) -> None:
        if self._family is not None:
            self._family[1].close()
            self._family = None

    def _found_family(self, ends_boot_seconds: float) -> tuple[str, PartsReader] | None:
        """Return what kind of servers the engine has, if it has any."""
        url = self._engine.base_url
        lister: Lister | None = None
        kind = self._engine.kind
        with suppress(SourceError):
            if kind in {"llamacpp", _UNKNOWN} and self._engine.is_router(ends_boot_seconds):
                kind, lister = "llamacpp", LlamaRouter(self._client, url)
            elif kind in {"ollama", _UNKNOWN} and is_ollama(self._client, url, ends_boot_seconds):
                kind, lister = "ollama", OllamaRunners(self._client, url)
            elif kind == "llama_swap":
                lister = LlamaSwap(self._client, url, is_here=self._engine.is_here)
        return None if lister is None else (kind, self._reader(lister))

    def _reader(self, lister: Lister) -> PartsReader:
        return PartsReader(lister, deadline_seconds=self._deadline_seconds, api_key=self._api_key)
