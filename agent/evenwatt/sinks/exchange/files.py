"""Files that are whole or not there: written beside their place, and moved to it when they are done."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from evenwatt.errors import ExchangeError

__all__ = ["BUFFER_BYTES", "whole_file", "written_to"]

BUFFER_BYTES = 1 << 20


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Lend a path beside another one; what is there at the end takes its place, and a failure leaves nothing.

    Raises:
        ExchangeError: It cannot be written there, or what is there is no file that may be replaced.
    """
    if path.is_symlink():
        path = path.resolve()
    if path.exists() and not path.is_file():
        raise ExchangeError(f"{path}: is no regular file, which alone can be replaced; name a file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with _as_exchange_error(path):
            yield part
            _to_disk(part)
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def written_to(path: Path | None) -> Iterator[IO[bytes]]:
    """Lend a file to write to, whole or not there at the end; None: standard output.

    A pipe or a device is written to as it is. A reader of standard output that has seen enough, such as
    `head`, ends the command without a word.

    Raises:
        ExchangeError: It cannot be written.
    """
    if path is not None and (path.is_fifo() or path.is_char_device()):
        with _as_exchange_error(path), path.open("wb", buffering=BUFFER_BYTES) as file:
            yield file
        return
    if path is not None:
        with whole_file(path) as part, part.open("wb", buffering=BUFFER_BYTES) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The interpreter flushes standard output once more when it ends, and would tell of it then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        raise ExchangeError(f"standard output: cannot be written ({error.strerror})") from error


@contextmanager
def _as_exchange_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExchangeError(
            f"{path}: cannot be written ({error.strerror or error}); name a file in a folder of yours with "
            "room for it"
        ) from error


def _to_disk(part: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
