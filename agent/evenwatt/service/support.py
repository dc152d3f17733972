"""What a person sends with a question: one archive of plain texts, without a secret in any of them.

Nothing is sent anywhere. What is a secret by its key in the configuration is taken out of every text, whether
it stands there, in the log or in an error.
"""

import io
import json
import platform
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from evenwatt import __version__, clock
from evenwatt.config import Secret, Settings
from evenwatt.errors import AgentUnreachable, OptionError
from evenwatt.service.access import local_socket
from evenwatt.service.client import running_status
from evenwatt.sinks.doctor import render_findings
from evenwatt.snapshot.checks import Finding

__all__ = ["redacted", "write_bundle"]

_HIDDEN = "<secret>"
_SECRET_LINE = re.compile(
    r"""(?P<key>["']?\b(?:api_key|token|password|secret"""
    r"""|(?:apprise|webhook|alertmanager)(?=["']?\s*:\s*["']?[\w+.-]+://))["']?\s*:\s*)"""
    r"""(?!["']?credential:|["']?\$\{)"""
    r"""(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*'|\S+?(?=[,}\]]*(?:\s|$)))"""
)
_HASH = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")
_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")
_JOURNAL = (
    *("journalctl", "--unit=evenwatt", "--unit=evenwatt-proxy"),
    *("--lines=2000", "--no-pager", "--output=short-iso"),
)
_JOURNAL_SECONDS = 20.0


def write_bundle(path: Path, settings: Settings, config: Path | None, findings: Iterable[Finding]) -> None:
    """Write the archive; readable by who writes it alone.

    Args:
        path: A new file, .tar.gz.
        settings: As loaded.
        config: Where from; None: there is no file.
        findings: Of the doctor.

    Raises:
        OptionError: The file is there already, or cannot be written.
    """
    hidden = tuple(_secrets_in(settings))
    try:
        with path.open("xb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            path.chmod(0o600)
            for name, text in _texts(settings, config, findings):
                body = redacted(text, hidden).encode()
                entry = tarfile.TarInfo(f"evenwatt-support/{name}")
                entry.size, entry.mtime, entry.mode = len(body), int(clock.utc_seconds()), 0o644
                archive.addfile(entry, io.BytesIO(body))
    except OSError as error:
        raise OptionError(
            f"--support: {path} cannot be written ({error.strerror}); name a new file"
        ) from error


def redacted(text: str, hidden: Iterable[str]) -> str:
    """Return a text without secrets: those given, and what stands at keys that hold them.

    Args:
        text: Of any kind.
        hidden: Secrets to take out, wherever they stand.
    """
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    text = _SECRET_LINE.sub(rf"\g<key>{_HIDDEN}", text)
    return _IN_URL.sub(f"{_HIDDEN}@", _HASH.sub(_HIDDEN, text))


def _texts(settings: Settings, config: Path | None, findings: Iterable[Finding]) -> Iterator[tuple[str, str]]:
    yield (
        "versions.txt",
        "\n".join((f"evenwatt {__version__}", platform.platform(), platform.python_version(), "")),
    )
    yield "doctor.json", render_findings(findings)
    if config is not None:
        with suppress(OSError):
            yield "config.yaml", config.read_text(encoding="utf-8", errors="replace")
    try:
        status = running_status(settings.server.listen, local_socket(settings))
        yield "status.json", json.dumps(status, indent=2)
    except AgentUnreachable as error:
        yield "status.txt", f"{error}\n"
    with suppress(OSError, subprocess.TimeoutExpired):
        journal = subprocess.run(  # noqa: S603 -- words of ours
            _JOURNAL, capture_output=True, text=True, errors="replace", timeout=_JOURNAL_SECONDS, check=False
        )
        yield "journal.txt", journal.stdout or journal.stderr


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        text = value.get_secret_value()
        yield text
        yield json.dumps(text)[1:-1]  # as it stands within JSON
    elif isinstance(value, Struct):
        yield from _secrets_in(asdict(value))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets_in(inner)
