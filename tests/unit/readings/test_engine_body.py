"""What belongs to an engine beside the process that listens."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from evenwatt.model import VisibleGpus
from evenwatt.readings.engine_body import engine_body, visible_gpus
from evenwatt.readings.processes import body, cgroup_body

SLEEP = "import sys; print('up', flush=True); sys.stdin.read()"
LAUNCH = """
import subprocess, sys
with subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE) as child:
    print(child.pid, flush=True)
    sys.stdin.read()
    child.stdin.close()
"""
ERASE = """
import ctypes, sys
PR_SET_MM, PR_SET_MM_ENV_START, PR_SET_MM_ENV_END = 35, 10, 11
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start, end = int(fields[47]), int(fields[48])
ctypes.memset(start, 0, end - start)
print("up", flush=True)
sys.stdin.read()
"""
"""Writes zeros over its own environment, as a title does."""


@contextmanager
def running(script, *arguments, **variables):
    """Run a script, and yield its process and the first word that it says."""
    environment = {key: value for key, value in os.environ.items() if "VISIBLE" not in key} | variables
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.stdin.close()


def test_an_environment_is_read_from_the_process():
    """What an engine was started with is told in its own words."""
    with running(SLEEP, CUDA_VISIBLE_DEVICES="1, GPU-ab", CUDA_DEVICE_ORDER="PCI_BUS_ID") as (process, _):
        found = engine_body(process.pid)

    assert found.pid == process.pid
    assert found.visible_gpus == VisibleGpus(cuda=("1", "GPU-ab"), is_pci_order=True)


def test_a_title_hides_the_environment_and_the_parent_still_has_it():
    """Of a process that wrote over its environment the parent without a title tells."""
    with running(LAUNCH, ERASE, CUDA_VISIBLE_DEVICES="3") as (parent, child):
        parent.stdout.readline()
        found = engine_body(int(child))

    assert found.pid == int(child)
    assert found.visible_gpus == VisibleGpus(cuda=("3",))


def test_a_launcher_is_part_of_the_engine():
    """What computes is the launcher's child too, beside the one that listens."""
    command = ["/usr/bin/text-generation-launcher", "-c", "sleep 60 & echo $!; read end; kill $!"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, executable="/bin/sh", stdin=pipe, stdout=pipe, text=True) as launcher:
        child = int(launcher.stdout.readline())

        assert engine_body(child).pid == launcher.pid

        launcher.stdin.close()


def test_another_s_environment_is_not_known():
    """A process that is gone tells nothing."""
    with running(SLEEP) as (process, _):
        pass

    assert engine_body(process.pid).visible_gpus is None
    assert body(process.pid) is None


@pytest.mark.parametrize(
    ("environment", "visible"),
    [
        ({}, None),
        ({"PATH": "/bin"}, None),
        ({"CUDA_VISIBLE_DEVICES": ""}, VisibleGpus(cuda=())),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, VisibleGpus(cuda=("0", "1"))),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, VisibleGpus(container=("all",))),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, None),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, None),
        ({"NVIDIA_VISIBLE_DEVICES": ""}, None),
        (
            {"NVIDIA_VISIBLE_DEVICES": "GPU-x", "CUDA_VISIBLE_DEVICES": "0"},
            VisibleGpus(container=("GPU-x",), cuda=("0",)),
        ),
    ],
)
def test_variables(environment, visible):
    """That nothing is said of GPUs is not that all are meant."""
    assert visible_gpus(environment) == visible


ID = "3f2a9c1b7d20" + 52 * "a"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0::/system.slice/ollama.service\n", "ollama.service"),
        ("0::/system.slice/ollama.service/child\n", "ollama.service"),
        (f"0::/system.slice/docker-{ID}.scope\n", "container 3f2a9c1b7d20"),
        (f"0::/docker/{ID}\n", "container 3f2a9c1b7d20"),
        (f"12:cpu:/kubepods.slice/pod1.slice/cri-containerd-{ID}.scope\n", "container 3f2a9c1b7d20"),
        (
            f"0::/user.slice/user@1000.service/user.slice/libpod-{ID}.scope/container\n",
            "container 3f2a9c1b7d20",
        ),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/vllm.service\n", "vllm.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-term.scope\n", None),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", None),
        ("0::/\n", None),
        ("", None),
    ],
)
def test_a_cgroup_names_a_container_or_a_service(text, found):
    """Sessions and slices hold too much to be anybody's."""
    assert cgroup_body(text) == found
