"""Backups, imports and exports beside a real agent, and an import that is killed wherever it stands."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC

import pytest

from evenwatt.service.exchange.importing import import_file
from exported_history import contents, write_days
from fake_nvml import build_library
from metered_site import ENGINE, MeteredSite

KILLS = 24
DAYS = 12
TICK_SECONDS = 0.1

IMPORT = """
import sys
from datetime import UTC
from pathlib import Path
from evenwatt.service.exchange.importing import import_file
print("ready", flush=True)
advance = lambda _: print("day", flush=True)
import_file(Path(sys.argv[1]), Path(sys.argv[2]), zone=UTC, advance=advance)
"""


def evenwatt(*arguments):
    """Run a command to its end and return what it said."""
    told = subprocess.run(
        [sys.executable, "-m", "evenwatt", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.fixture
def site(tmp_path, tmp_path_factory):
    """A machine with a busy engine, and an agent that has watched from its beginning."""
    library = build_library(tmp_path_factory.getbasetemp() / "nvml")
    with MeteredSite(tmp_path, library, tick_seconds=TICK_SECONDS) as site:
        site.agent.start()
        site.agent.wait_until_ready()
        site.start_engine()
        site.draw_power()
        site.wait_for_a_whole_tick()
        yield site


def truth_of(site):
    """Return all that the engine has counted, by model, once it has stopped."""
    site.engine.stop()
    return {
        model: tuple(counts.as_dict().values()) for model, counts in site.engine.truth()[-1].models.items()
    }


def test_a_restored_backup_loses_and_doubles_nothing(site, tmp_path):
    """The history is lost after a backup was made while it was written: all tokens are there in the end."""
    backup = tmp_path / "backup.db"
    evenwatt("backup", "-c", site.agent.config, backup)
    site.wait_for_a_whole_tick()
    site.agent.kill()
    # What the page on restoring says, step by step.
    for ending in ("", "-wal", "-shm"):
        site.agent.history.with_name(site.agent.history.name + ending).unlink(missing_ok=True)
    site.agent.history.write_bytes(backup.read_bytes())
    site.agent.start()
    site.agent.wait_until_ready()
    site.come_to_rest()
    assert site.agent.stop() == 0

    assert site.history.counted(ENGINE) == truth_of(site)
    assert site.history.events("history_corrupt") == []


def test_an_import_beside_the_agent_disturbs_nothing(site, tmp_path):
    """The past of another history comes to what is counted now, in the file and on the metrics."""
    old = tmp_path / "old.db"
    write_days(old, 0, 1)
    with closing(sqlite3.connect(old)) as database, database:
        database.execute("UPDATE setting SET value = 'USD' WHERE name = 'currency'")
        database.execute("UPDATE total_usage SET engine = 'before'")
        for level in ("minute", "hour", "day", "local_day", "total"):
            for table in ("usage", "api", "engine", "client"):
                database.execute(f"UPDATE {level}_{table} SET engine = 'before'")
    told = evenwatt("import", "-c", site.agent.config, old)
    site.agent.wait_for(lambda: site.agent.metric("evenwatt_tokens_total", engine="before") is not None)
    on_metrics = site.agent.tokens("before")
    site.come_to_rest()
    lines = tmp_path / "all.jsonl"
    evenwatt("export", "-c", site.agent.config, "-f", "jsonl", "-o", lines)
    assert site.agent.stop() == 0

    assert "18 min of the machine's time imported" in told
    assert on_metrics == (6_000_000, 3_000_000, 600_000)
    assert site.history.counted(ENGINE) == truth_of(site)
    assert "history_down" not in site.agent.log.read_text()
    assert '"engine":"before"' in lines.read_text()


def test_an_import_that_is_killed_anywhere_goes_on(tmp_path):
    """However often and wherever it is killed: no day is there in part, none is lost, and none is doubled."""
    old, whole, new = (tmp_path / f"{name}.db" for name in ("old", "whole", "new"))
    write_days(old, *range(DAYS))
    import_file(old, whole, zone=UTC, advance=lambda _: None)
    expected = contents(whole, beside=())
    chance = random.Random(40)
    seen = set()
    for number in range(KILLS):
        # Each begins anew now and then, so that all of it is killed, and not its beginning alone.
        if number % 4 == 0:
            for file in tmp_path.glob("new.db*"):
                file.unlink()
        with subprocess.Popen(
            [sys.executable, "-c", IMPORT, old, new],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout.readline() == "ready\n"
            days = chance.randrange(4)
            told = [process.stdout.readline() for _ in range(days)]
            # While it begins a history, or within the day that comes after.
            time.sleep(chance.uniform(0.0, 0.03 if told else 1.5))
            # With the child that makes the tables of a new history, as when the machine goes off.
            os.killpg(process.pid, signal.SIGKILL)
        found = contents(new, beside=()) if new.exists() else {}
        days = {row[0] for row in found.get("day_host", ())}
        seen.add(len(days))
        if days:
            assert set(found["day_host"]) <= set(expected["day_host"])
            assert found["minute_usage"] == [
                row for row in expected["minute_usage"] if row[0] // 86_400 * 86_400 in days
            ]
    import_file(old, new, zone=UTC, advance=lambda _: None)

    assert contents(new, beside=()) == expected
    assert len(seen) > 3
