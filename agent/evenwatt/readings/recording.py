"""Recordings: readings as JSON lines below a header that says which evenwatt wrote them.

Owns the format, in both directions, and nothing of its pace (see `replay`). A reading comes out as it went
in, to the last bit. Each line is written at once and on its own, so that a kill can tear no line but the
last, which is then passed over. Imported only where something is recorded or replayed.
"""

import errno
import json
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from evenwatt import __version__
from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import EngineReading, GpusReading, HostReading, Reading

__all__ = ["FORMAT_VERSION", "Recorder", "readings_in"]

FORMAT_VERSION = 1

_DEFAULT_LIMIT_BYTES = 64 * 2**20

_HEADER_LIMIT_BYTES = 4_096
"""No more than this is read of a file that is something else."""

_FAULTS_SHOWN = 20
_FOUND_CHARACTERS = 60


class _GpusLine(Struct, frozen=True, tag="gpus", forbid_unknown_fields=True):
    reading: GpusReading


class _EngineLine(Struct, frozen=True, tag="engine", forbid_unknown_fields=True):
    reading: EngineReading


class _HostLine(Struct, frozen=True, tag="host", forbid_unknown_fields=True):
    reading: HostReading


_Line = _GpusLine | _EngineLine | _HostLine
_FAULT = re.compile(r"(?P<said>.*?)(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL)
"""How msgspec words what it found, and where."""


class Recorder:
    """Appends readings to a recording, which is begun or, where the file is one already, continued.

    Args:
        path: The file.
        limit_bytes: How large the file may grow; from the first reading that would not fit, none is written.

    Raises:
        SourceUnavailable: The file cannot be opened or written.
        SourceContractError: The file holds something else; it is left as it is.
    """

    def __init__(self, path: Path, *, limit_bytes: int = _DEFAULT_LIMIT_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._is_full = False
        with _failures_named(path, "written"):
            self._file = path.open("a+b", buffering=0)
        try:
            self._size = self._whole_bytes()
            if self._size == 0:
                self._append(_header())
        except BaseException:
            self._file.close()
            raise

    def write(self, reading: Reading) -> bool:
        """Append one reading; return False, and write nothing more, once the recording is full.

        Raises:
            SourceUnavailable: The file cannot be written; it holds whole lines all the same.
        """
        line = msgspec.json.encode(_line(reading)) + b"\n"
        self._is_full = self._is_full or self._size + len(line) > self._limit_bytes
        if not self._is_full:
            self._append(line)
        return not self._is_full

    def close(self) -> None:
        """Close the file; every reading is in it already."""
        self._file.close()

    def _whole_bytes(self) -> int:
        """Return the length of the recording so far, a torn last line taken off."""
        with _failures_named(self._path, "written"):
            if self._file.seek(0, os.SEEK_END) == 0:
                return 0
            self._file.seek(0)
            _check_header(self._path, self._file.readline(_HEADER_LIMIT_BYTES))
            with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                whole = content.rfind(b"\n") + 1
            self._file.truncate(whole)
        return whole

    def _append(self, line: bytes) -> None:
        with _failures_named(self._path, "written"):
            if self._file.write(line) != len(line):
                self._file.truncate(self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += len(line)


def _line(reading: Reading) -> _Line:
    if isinstance(reading, GpusReading):
        return _GpusLine(reading=reading)
    return _HostLine(reading=reading) if isinstance(reading, HostReading) else _EngineLine(reading=reading)


def readings_in(path: Path) -> Iterator[Reading]:
    """Yield a recording's readings as they were written, in their order.

    From the first fault on nothing more is yielded; the rest is read only to report its faults together.

    Raises:
        SourceUnavailable: The file cannot be opened or read.
        SourceContractError: It is not a recording, or lines of it are not readings; names up to 20 faults.
    """
    faults: list[str] = []
    decoder = msgspec.json.Decoder(_Line)
    with _failures_named(path, "read"), path.open("rb") as file:
        _check_header(path, file.readline(_HEADER_LIMIT_BYTES))
        for number, line in enumerate(file, start=2):
            try:
                reading = decoder.decode(line).reading
            except (msgspec.DecodeError, RecursionError) as exc:
                if line.endswith(b"\n"):
                    faults.append(f"{path}:{number}: {_fault(exc, line)}")
                if len(faults) >= _FAULTS_SHOWN:
                    break
            else:
                if not faults:
                    yield reading
    if faults:
        raise SourceContractError("\n".join(faults[:_FAULTS_SHOWN]))


@contextmanager
def _failures_named(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise SourceUnavailable(
            f"{path}: the recording cannot be {verb}: {exc.strerror or exc}; "
            "check the path, its rights and the free space"
        ) from exc


def _header() -> bytes:
    header = {"type": "recording", "format_version": FORMAT_VERSION, "evenwatt_version": __version__}
    return json.dumps(header).encode() + b"\n"


def _check_header(path: Path, line: bytes) -> None:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("type") != "recording":
        raise SourceContractError(
            f"{path}:1: found {_shortened(line)}, expected the header of a recording; "
            "give a file that evenwatt recorded"
        )
    if header.get("format_version") != FORMAT_VERSION:
        raise SourceContractError(
            f"{path}:1: found format {_shortened(header.get('format_version'))}, expected {FORMAT_VERSION}; "
            f"use the evenwatt that wrote it: {_shortened(header.get('evenwatt_version'))}"
        )


def _fault(error: Exception, line: bytes) -> str:
    """Say in our words what msgspec found first in a line."""
    said, place = _FAULT.fullmatch(str(error)).group("said", "place")  # type: ignore[union-attr]  # it matches all
    if not isinstance(error, msgspec.ValidationError) or (place is None and said.startswith("Expected")):
        return f"found {_shortened(line)}, expected a JSON object; remove the line"
    if place == "type" or said == "Object missing required field `type`":
        return f"found {_shortened(line)}, expected a `type` of gpus, engine or host; remove the line"
    kind, *rest = said.split("`")
    names = rest[::2]
    match kind, names:
        case "Object missing required field ", [name]:
            return f"found no {_joined(place, name)}, expected one"
        case "Object contains unknown field ", [name]:
            return f"found {_joined(place, name)}, which format {FORMAT_VERSION} does not have; remove it"
        case "Expected ", [expected, found]:
            return f"found {found} for {place}, expected {expected}"
    return f"{place}: {said}; remove the line"


def _joined(place: str | None, name: str) -> str:
    return f"{place}.{name}" if place else name


def _shortened(value: Any) -> str:
    text = repr(value.decode(errors="replace") if isinstance(value, bytes) else value)
    return text if len(text) <= _FOUND_CHARACTERS else f"{text[:_FOUND_CHARACTERS]}..."
