"""What the tests in a real systemd share: the built package, and machines that it is installed on."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from systemd_container import missing_tools
from systemd_host import Host

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def package() -> Path:
    """Return the Debian package as `make package` builds it, or the one that $EVENWATT_PACKAGE names."""
    missing = missing_tools()
    assert not missing, (
        f"these tests boot a real systemd in a container; missing here: {', '.join(missing)}. "
        "Install them with: apt-get install debootstrap systemd-container, and run as root"
    )
    if "EVENWATT_PACKAGE" in os.environ:
        return Path(os.environ["EVENWATT_PACKAGE"])
    subprocess.run([ROOT / "scripts" / "package", sys.prefix], check=True)
    (built,) = (ROOT / "dist").glob("*.deb")
    return built


@pytest.fixture(scope="session")
def older_package(package, tmp_path_factory) -> Path:
    """Return the same package under an earlier version: what an upgrade starts from."""
    folder = tmp_path_factory.mktemp("older")
    wanted = (ROOT / "build" / "nfpm.yaml").read_text()
    (folder / "nfpm.yaml").write_text(re.sub(r"(?m)^version: .*", "version: 0.0.9", wanted))
    command = [Path(sys.prefix) / "bin" / "nfpm", "package", "--config", folder / "nfpm.yaml"]
    subprocess.run([*command, "--packager", "deb", "--target", folder], cwd=ROOT, check=True)
    (built,) = folder.glob("*.deb")
    return built


@pytest.fixture(scope="module")
def machines(tmp_path_factory, package) -> Iterator[Callable[[Path], Host]]:
    """Return a function that boots a machine to which a folder of packages is shown."""
    with ExitStack() as booted:

        def boot(packages: Path) -> Host:
            host = Host(tmp_path_factory.mktemp("host"), packages)
            booted.enter_context(host.container)
            host.prepare()
            return host

        yield boot
