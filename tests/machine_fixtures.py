"""Fixtures around a fake machine, for test modules that say `pytest_plugins = ["machine_fixtures"]`."""

import sys
from pathlib import Path

import pytest

from fake_machine import Machine
from fake_nvml import build_library
from other_network import SCRIPT, enter_network, enter_new_network, network_refusal

__all__ = ["machine", "nvml_library", "other_network", "own_network"]


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory):
    """The NVML library without GPUs, as a file."""
    return build_library(tmp_path_factory.getbasetemp() / "nvml")


@pytest.fixture
def machine(tmp_path, nvml_library):
    """A machine with two GPUs."""
    return Machine(tmp_path, nvml_library)


@pytest.fixture
def own_network():
    """A network of the test's own: whatever else runs on this machine cannot be reached in it."""
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        try:
            enter_new_network()
        except PermissionError as refusal:
            pytest.skip(f"a network of its own cannot be had here: {refusal.strerror}")
        try:
            yield
        finally:
            enter_network(before)


@pytest.fixture(scope="session")
def other_network():
    """What to put before a command that is to run in a network of its own."""
    refusal = network_refusal()
    if refusal is not None:
        pytest.skip(refusal)
    return (sys.executable, SCRIPT)
