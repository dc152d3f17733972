"""Fixtures around a llama.cpp server, for test modules that say `pytest_plugins = ["llama_fixtures"]`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from llama_server import LlamaServer
from tiny_gguf import write_tiny_gguf

__all__ = ["llama_model", "llama_server", "start_llama_server"]


@pytest.fixture(scope="session")
def llama_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a tiny model."""
    path = tmp_path_factory.mktemp("model") / "tiny-llama.gguf"
    write_tiny_gguf(path)
    return path


@pytest.fixture(scope="session")
def llama_server(llama_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    """Return a server that all tests share: compare its counters with those before, and leave it running."""
    with LlamaServer(llama_model, tmp_path_factory.mktemp("llama")) as server:
        yield server


@pytest.fixture
def start_llama_server(llama_model: Path, tmp_path: Path) -> Iterator[Callable[[], LlamaServer]]:
    """Return a function that starts a server of the test's own, to be stopped, killed and started again."""
    with ExitStack() as servers:
        yield lambda: servers.enter_context(LlamaServer(llama_model, tmp_path))
