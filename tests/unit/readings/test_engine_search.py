"""A search for engines lets alone what turned out to be something else, and finds what comes later."""

import shutil

import pytest

from captured import CAPTURES
from evenwatt.readings.discovery import EngineSearch
from loopback_servers import page_process

VLLM_PAGE = CAPTURES / "vllm" / "single-04-prefix.prom.txt"
ASKED = ["/metrics"]


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


def test_something_else_is_asked_twice_and_then_let_alone(vllm_script, tmp_path):
    """A process that answers, but not as an engine, may still be starting; after that it has its peace."""
    page = tmp_path / "page"
    page.write_text("up 1\n")
    search = EngineSearch()
    with page_process(page, script=vllm_script, arguments=("serve",)) as (process, port):
        for _ in range(5):
            assert f"vllm-{port}" not in names(search)

        assert asked(process) == ASKED * 2


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
