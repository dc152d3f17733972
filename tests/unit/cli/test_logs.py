"""The log in its three forms, as a process of its own writes it."""

import json
import os
import socket
import subprocess
import sys

PROGRAM = """
import logging
from evenwatt.cli.logs import LogFormat, log_to_stderr
log_to_stderr(LogFormat({form!r}))
log = logging.getLogger("evenwatt.part")
log.debug("not written")
log.warning("a: %s", "two\\nlines")
log.info("fine \\u20ac")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broken")
"""


def logged(form, *, journal=False):
    """Return what is written to a socket that is the journal, or says nothing of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = os.fstat(theirs.fileno())
        stream = f"{found.st_dev}:{found.st_ino}" if journal else "1:2"
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(form=form)],
            stderr=theirs,
            env={**os.environ, "JOURNAL_STREAM": stream},
            check=True,
        )
        return ours.recv(100_000).decode().splitlines()


def test_the_journal_gets_levels_before_each_line():
    """Also before the second line of a text, and before those of a traceback; no time: it has that."""
    lines = logged("auto", journal=True)

    assert lines[:4] == ["<4>a: two", "<4>lines", "<6>fine \u20ac", "<3>broken"]
    assert all(line.startswith("<3>") for line in lines[3:])
    assert lines[-1] == "<3>ZeroDivisionError: division by zero"


def test_a_stream_that_only_inherits_the_variable_is_not_the_journal():
    """A service that writes its log to a file has $JOURNAL_STREAM too."""
    assert logged("auto")[0].split(" ", 1)[1] == "WARNING a: two"


def test_json_is_one_object_a_line():
    """With time, level, logger, text and traceback; in the journal with the level before it as well."""
    lines = [json.loads(line) for line in logged("json")]

    assert [(line["level"], line["logger"]) for line in lines] == [
        ("warning", "evenwatt.part"),
        ("info", "evenwatt.part"),
        ("error", "evenwatt.part"),
    ]
    assert lines[0]["message"] == "a: two\nlines"
    assert lines[0]["utc"].endswith("+00:00")
    assert "ZeroDivisionError" in lines[2]["traceback"]
    assert logged("json", journal=True)[0].startswith('<4>{"utc"')
