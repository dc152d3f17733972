"""A search for engines lets alone what turned out to be something else, and finds what comes later."""

import shutil
import socket

import pytest

from captured import CAPTURES
from evenwatt.readings.discovery import EngineSearch
from loopback_servers import page_process

VLLM_PAGE = CAPTURES / "vllm" / "single-04-prefix.prom.txt"
ASKED = ["/metrics"]


def is_free(port):
    """Return whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def vllm_script(tmp_path):
    """A program whose command line is vLLM's."""
    return shutil.copy(CAPTURES.parent / "page_process.py", tmp_path / "vllm")


def asked(process):
    """Return the paths that a page process was asked for."""
    process.kill()
    return process.stdout.read().split()


def names(search):
    """Return the names of the engines that one look finds."""
    return [engine.name for engine in search.find()]


def test_something_else_is_asked_three_times_and_then_let_alone(vllm_script, tmp_path):
    """A process that answers, but not as an engine, may still be starting; after that it has its peace."""
    page = tmp_path / "page"
    page.write_text("up 1\n")
    search = EngineSearch()
    with page_process(page, script=vllm_script, arguments=("serve",)) as (process, port):
        for _ in range(5):
            assert f"vllm-{port}" not in names(search)

        assert asked(process) == ["/metrics", "/v1/models", "/metrics"]


@pytest.mark.skipif(not is_free(8000), reason="port 8000 is in use on this machine")
@pytest.mark.parametrize("has_page", [True, False])
def test_an_unrelated_server_on_a_usual_port_is_asked_three_times_at_most(tmp_path, has_page):
    """Whatever it answers, it is left alone after three harmless questions."""
    if has_page:
        (tmp_path / "metrics").write_text("up 1\n")
    search = EngineSearch()
    with page_process(tmp_path, port=8000) as (process, _):
        for _ in range(5):
            assert not [name for name in names(search) if name.endswith("-8000")]
        paths = asked(process)

    assert len(paths) <= 3
    assert set(paths) <= {"/v1/models", "/metrics", "/v1/metrics"}


@pytest.mark.skipif(not is_free(8000), reason="port 8000 is in use on this machine")
def test_what_listens_later_on_a_usual_port_is_asked(tmp_path):
    """Nobody there, somebody else there: neither keeps an engine from being found afterwards."""
    search = EngineSearch()
    for _ in range(5):
        names(search)
    with page_process(tmp_path, port=8000):
        for _ in range(5):
            names(search)
    with page_process(VLLM_PAGE, port=8000):
        assert "vllm-8000" in names(search)


def test_an_engine_that_was_still_starting_is_found(vllm_script, tmp_path):
    """A first answer without a page of its kind does not count for ever."""
    page = tmp_path / "page"
    page.write_text("up 1\n")
    search = EngineSearch()
    with page_process(page, script=vllm_script, arguments=("serve",)) as (_, port):
        assert f"vllm-{port}" not in names(search)
        page.write_bytes(VLLM_PAGE.read_bytes())

        assert f"vllm-{port}" in names(search)
        assert f"vllm-{port}" in names(search)


def test_another_process_on_the_same_port_is_asked_anew(vllm_script, tmp_path):
    """What was refused is the process and not the port."""
    page = tmp_path / "page"
    page.write_text("up 1\n")
    search = EngineSearch()
    with page_process(page, script=vllm_script, arguments=("serve",)) as (_, port):
        for _ in range(3):
            names(search)
    with page_process(VLLM_PAGE, port=port, script=vllm_script, arguments=("serve",)) as (process, _):
        assert f"vllm-{port}" in names(search)
        assert asked(process) == ASKED
