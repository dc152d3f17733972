"""Fixtures around a fake machine, for test modules that say `pytest_plugins = ["machine_fixtures"]`."""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

import pytest

from fake_machine import Machine
from fake_nvml import build_library

__all__ = ["machine", "nvml_library", "own_network"]

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


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
    """A network of the test's own: whatever else runs on this machine cannot be found in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        if libc.unshare(_CLONE_NEWNET):
            pytest.skip(f"a network of its own cannot be had here: {os.strerror(ctypes.get_errno())}")
        try:
            with socket.socket() as any_socket:
                request = struct.pack("16sh22x", b"lo", _IFF_UP)
                fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
            yield
        finally:
            assert libc.setns(before.fileno(), _CLONE_NEWNET) == 0
