"""Recordings: readings as JSON lines below a header that says which evenwatt wrote them.

Owns the format, in both directions, and nothing of its pace (see `replay`). A reading comes out as it went
in, to the last bit. Each line is written at once and on its own, so that a kill can tear no line but the
last, which is then passed over. Imported only where something is recorded or replayed.
"""

import errno
import json
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _GpusLine:
    type: Literal["gpus"] = "gpus"
    reading: GpusReading


@dataclass(frozen=True, slots=True, kw_only=True)
class _EngineLine:
    type: Literal["engine"] = "engine"
    reading: EngineReading


@dataclass(frozen=True, slots=True, kw_only=True)
class _HostLine:
    type: Literal["host"] = "host"
    reading: HostReading


_Line = Annotated[_GpusLine | _EngineLine | _HostLine, Discriminator("type")]


@cache
def _lines() -> TypeAdapter[_Line]:
    return TypeAdapter(_Line, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))


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
        line = _lines().dump_json(_line(reading), exclude_none=True) + b"\n"
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
    with _failures_named(path, "read"), path.open("rb") as file:
        _check_header(path, file.readline(_HEADER_LIMIT_BYTES))
        for number, line in enumerate(file, start=2):
            try:
                reading = _lines().validate_json(line).reading
            except ValidationError as exc:
                if line.endswith(b"\n"):
                    faults += (f"{path}:{number}: {_fault(error)}" for error in exc.errors(include_url=False))
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


def _fault(error: ErrorDetails) -> str:
    """Say in our words what pydantic found; the first part of its place is the type of the line."""
    place = ".".join(str(part) for part in error["loc"][1:])
    found = _shortened(error["input"])
    match error["type"]:
        case "missing":
            return f"found no {place}, expected one"
        case "unexpected_keyword_argument":
            return f"found {place}, which format {FORMAT_VERSION} does not have; remove it"
        case "json_invalid" | "dict_type" | "dataclass_type" if not place:
            return f"found {found}, expected a JSON object; remove the line"
        case "union_tag_invalid" | "union_tag_not_found":
            return f"found {found}, expected a `type` of gpus, engine or host; remove the line"
    return f"found {place} = {found}, expected {error['msg'].removeprefix('Input should be ')}"


def _shortened(value: Any) -> str:
    text = repr(value.decode(errors="replace") if isinstance(value, bytes) else value)
    return text if len(text) <= _FOUND_CHARACTERS else f"{text[:_FOUND_CHARACTERS]}..."
