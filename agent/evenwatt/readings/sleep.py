"""When a llama-server may be asked for its page: not where that would wake its model, or keep it awake.

Builds before b11434 answer the page out of the model's own queue: the question loads a model that sleeps
(`--sleep-idle-seconds`), and begins the idle time of one that is awake anew. /props does neither. So such a
server is only asked after it has been at work, and never while it sleeps; its counters live through the sleep
and stand still meanwhile, so that nothing is lost by that.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import PurePath

import psutil
from msgspec import Struct

from evenwatt.clock import boot_seconds
from evenwatt.errors import SourceError
from evenwatt.readings.adapter import json_of
from evenwatt.readings.process_stat import command_line
from evenwatt.readings.threadwork import ThreadWork

__all__ = ["ServerFacts", "SleepGuard", "facts_in", "server_started_for"]

_HARMLESS_SINCE_BUILD = 11_434
_FIRST_PATIENCE_SECONDS = 10.0
_MOST_PATIENCE_SECONDS = 3_600.0
_SLEEP_LOOK_SECONDS = 5.0
"""How seldom a server that is looked at often is asked whether it sleeps, while it does nothing."""
_OPTION = "--sleep-idle-seconds"
_PROGRAM = "llama-server"
_USUAL_PORT = "8080"


class ServerFacts(Struct, frozen=True, kw_only=True):
    """What a llama-server says of itself without waking anything.

    Attributes:
        is_sleeping: None where this build knows no sleep.
        is_router: It starts a server for each model, and has no page of its own.
        is_ready: It answers; one that still loads its model says nothing of itself before it has.
        build: Its number; None where it is none of the project's own builds.
    """

    is_sleeping: bool | None = None
    is_router: bool = False
    is_ready: bool = True
    build: int | None = None


def facts_in(body: bytes) -> ServerFacts | None:
    """Return what an answer of /props says; None where it is no llama-server's."""
    found = json_of(body)
    if not isinstance(found, dict) or not {"build_info", "total_slots", "role"} & found.keys():
        return None
    sleeping = found.get("is_sleeping")
    build = re.match(r"b(\d{3,})-", str(found.get("build_info", "")))
    return ServerFacts(
        is_sleeping=sleeping if isinstance(sleeping, bool) else None,
        is_router=found.get("role") == "router",
        build=None if build is None else int(build[1]),
    )


class SleepGuard:
    """Decides before each look at the page of one server.

    Args:
        facts: Returns what the server says of itself, by a deadline on the boot clock; raises a SourceError
            where it does not answer.
        is_looked_at_often: So often that it is only asked after work even if it never sleeps.

    Attributes:
        is_asleep: As it last said.
    """

    def __init__(
        self, facts: Callable[[float], ServerFacts | None], *, is_looked_at_often: bool = False
    ) -> None:
        self._facts = facts
        self._is_looked_at_often = is_looked_at_often
        self._process: object = None
        self._can_sleep: bool | None = None
        self._is_disturbed = False
        self.is_asleep = False
        self._is_at_work = True
        self._work = ThreadWork()
        self._asked_boot_seconds = 0.0
        self._looked_boot_seconds = 0.0
        self._patience_seconds = _FIRST_PATIENCE_SECONDS

    def may_ask(self, process: object, pid: int | None, ends_boot_seconds: float) -> bool:
        """Return whether the page may be asked for.

        Args:
            process: Whatever tells one life of the server from the next.
            pid: Of the server, where it can be told.
            ends_boot_seconds: By when to answer.
        """
        if self._can_sleep is None or process != self._process:
            facts = self._facts(ends_boot_seconds)
            self._process, self._is_at_work = process, True
            self._can_sleep = _can_sleep(facts, pid)
            self._is_disturbed = bool(self._can_sleep) and not _answers_from_a_copy(facts)
        elif not self._is_worth_asking(pid):
            self._look_for_sleep(ends_boot_seconds)
            return False
        else:
            is_in_doubt = self._can_sleep and (self._is_disturbed or not self._is_at_work)
            facts = self._facts(ends_boot_seconds) if is_in_doubt else None
        self.is_asleep = facts is not None and facts.is_sleeping is True
        if self.is_asleep and self._is_disturbed:
            return False
        self._work.mark(pid)  # before the page: what is counted right after it is work to come
        return True

    def note(self, *, is_at_work: bool) -> None:
        """Take down that the page was read, and whether it moved or showed a request running."""
        self._is_at_work = is_at_work
        self._patience_seconds = (
            _FIRST_PATIENCE_SECONDS if is_at_work else min(2 * self._patience_seconds, _MOST_PATIENCE_SECONDS)
        )
        self._asked_boot_seconds = boot_seconds()

    def _is_worth_asking(self, pid: int | None) -> bool:
        """Return whether the page may say something new, and asking disturbs nobody who did no work."""
        if self._is_at_work or not (self._is_disturbed or self._is_looked_at_often):
            return True
        worked = self._work.has_worked(pid)
        if worked is None:
            # Nobody tells. Ever longer waits leave any idle time the room to run out.
            waited_seconds = boot_seconds() - self._asked_boot_seconds
            return not self._is_disturbed or waited_seconds >= self._patience_seconds
        return worked

    def _look_for_sleep(self, ends_boot_seconds: float) -> None:
        """Ask a server that does nothing whether it sleeps by now; one that does not answer is as it was."""
        is_due = boot_seconds() - self._looked_boot_seconds >= _SLEEP_LOOK_SECONDS
        if self._can_sleep and (is_due or not self._is_looked_at_often):
            self._looked_boot_seconds = boot_seconds()
            with suppress(SourceError):
                facts = self._facts(ends_boot_seconds)
                self.is_asleep = facts is not None and facts.is_sleeping is True


def server_started_for(port: int) -> int | None:
    """Return the PID of the llama-server here whose command line has a port; None where not just one has.

    Whose socket it is only the kernel knows, and it tells an agent without privileges nothing of another
    user's. This is enough to see when a server has worked, and not to say whose a page is.
    """
    found = [pid for pid in psutil.pids() if _port_of(command_line(pid)) == str(port)]
    return found[0] if len(found) == 1 else None


def _port_of(command: Sequence[str]) -> str | None:
    if not command or PurePath(command[0]).name != _PROGRAM:
        return None
    return command[command.index("--port") + 1] if "--port" in command[:-1] else _USUAL_PORT


def _can_sleep(facts: ServerFacts | None, pid: int | None) -> bool | None:
    """Return whether a server may fall asleep, as far as can be told; None: it is to be asked again."""
    if facts is not None and not facts.is_ready:
        return None
    if facts is None or facts.is_sleeping is None:
        return False
    return facts.is_sleeping or pid is None or _is_told_to_sleep(pid) is not False


def _answers_from_a_copy(facts: ServerFacts | None) -> bool:
    """Return whether this build's page disturbs no sleep."""
    return facts is not None and facts.build is not None and facts.build >= _HARMLESS_SINCE_BUILD


def _is_told_to_sleep(pid: int) -> bool | None:
    """Return whether a process was started with an idle time; None where that cannot be seen."""
    command = command_line(pid)
    return _OPTION in command if command else None
