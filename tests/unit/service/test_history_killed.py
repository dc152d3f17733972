"""SIGKILL at 200 random points: no committed minute is lost, none is doubled, and the next start goes on.

Ticks with their roll-ups and what they forget, migrations with their copy, repricing, and imports; works that
came to their end before they were killed are not counted.
"""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from evenwatt.sinks.history import History
from history_checks import disagreements
from kill_points import KillPoints
from kill_works import BEGIN, PRICES, ZONE
from recorded_history import RecordedHistory
from sink_fixtures import served, tick

pytestmark = pytest.mark.timeout(900)

TICKS, MIGRATIONS, REPRICINGS, IMPORTS = 80, 50, 40, 30
assert TICKS + MIGRATIONS + REPRICINGS + IMPORTS == 200
HISTORIES = Path(__file__).parents[2] / "histories"
TOKENS = 100_000


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def committed(path):
    """Return how many ticks a history says that it holds."""
    cursor = RecordedHistory(path).cursor("test")
    return 0 if cursor is None else cursor["ticks"]


def test_ticks_roll_ups_and_forgetting(path, tmp_path):
    """After each kill the history holds every tick that was said to be written, once, in all levels."""
    chance, acknowledged = random.Random(6), tmp_path / "acknowledged"
    with KillPoints("kill_works:write_ticks") as works:
        works.seconds(str(path), str(acknowledged))
        while works.killed < TICKS:
            before = committed(path)
            works.kill(str(path), str(acknowledged), chance=chance)
            told = acknowledged.read_bytes().splitlines()
            last, held = int(told[-1]), committed(path)

            assert before <= held
            assert last <= held <= max(last, before) + 1
            ((tokens,),) = RecordedHistory(path).rows("SELECT sum(output_tokens) FROM total_usage")
            assert tokens == held * TOKENS
            assert disagreements(path) == []
    ((minutes, days),) = RecordedHistory(path).rows(
        "SELECT (SELECT count(*) FROM minute_usage), (SELECT sum(output_tokens) FROM local_day_usage)"
    )
    assert minutes < held / 2
    assert days == tokens


def test_migrations(path, tmp_path):
    """Whenever it was cut off, the next start brings the history up to date, with all that was in it."""
    chance, old = random.Random(7), tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as database:
        database.executescript((HISTORIES / "m001.sql").read_text(encoding="utf-8"))
    stages = set()
    with KillPoints("kill_works:bring_up_to_date") as works:
        shutil.copy(old, path)
        works.seconds(str(path))
        while works.killed < MIGRATIONS:
            for left in tmp_path.glob("history.db*"):
                left.unlink()
            shutil.copy(old, path)
            works.kill(str(path), chance=chance)
            with closing(sqlite3.connect(path)) as database:
                ((steps,),) = database.execute("SELECT count(*) FROM _sqlite_migrations")
            stages.add((steps, path.with_name("history.db.before-m002_electricity_prices").exists()))
            with closing(History(path, currency="EUR", zone=ZONE)) as history:
                history.write(tick({(BEGIN, "chat", "small"): served()}))
                assert history.totals().usage["chat", "small"].output_tokens == 37 * TOKENS
            assert disagreements(path) == []
            with closing(sqlite3.connect(next(iter(path.parent.glob("history.db.before-m002_*"))))) as copy:
                assert copy.execute("SELECT sum(output_tokens) FROM total_usage").fetchone() == (36 * TOKENS,)
    assert len(stages) > 3


def test_repricing(path):
    """Whenever it was cut off, each minute is at the one price or the other, and all levels say so."""
    chance = random.Random(8)
    now = BEGIN + 3 * 86_400
    with closing(History(path, currency="EUR", zone=ZONE)) as history:
        history.write(tick({(at, "chat", "small"): served() for at in range(BEGIN, now, 240)}))
        while history.forget_some({"minute": BEGIN // 86_400 * 86_400 + 2 * 86_400, "hour": 0}):
            pass
    physics = RecordedHistory(path).rows("SELECT sum(output_tokens), sum(active_joules) FROM total_usage")
    costs = {round(6_000 / 3.6e6 * float(price), 12) for price in (*PRICES, "0.36")}
    mixed = 0
    with KillPoints("kill_works:reprice") as works:
        works.seconds(str(path), PRICES[0], str(now))
        while works.killed < REPRICINGS:
            price = PRICES[(works.killed + works.ended + 1) % 2]
            works.kill(str(path), price, str(now), chance=chance)
            found = RecordedHistory(path).rows("SELECT DISTINCT round(energy_cost, 12) FROM minute_usage")

            assert {cost for (cost,) in found} <= costs
            assert disagreements(path) == []
            assert RecordedHistory(path).rows(
                "SELECT sum(output_tokens), sum(active_joules) FROM total_usage"
            ) == [pytest.approx(physics[0])]
            mixed += RecordedHistory(path).rows(
                "SELECT count(*) FROM event WHERE text LIKE '% so far)%' AND id = (SELECT max(id) FROM event)"
            )[0][0]
    assert mixed > REPRICINGS / 4


def test_imports(path, tmp_path):
    """Whenever it was cut off, what was taken is whole days, and doing it again takes the rest, once."""
    chance, source = random.Random(9), tmp_path / "source.db"
    days = 12
    with closing(History(source, currency="EUR", zone=ZONE)) as history:
        for day in range(days):
            begin = BEGIN + day * 86_400
            history.write(tick({(at, "chat", "small"): served() for at in range(begin, begin + 36_000, 300)}))
    whole = RecordedHistory(source).rows("SELECT sum(output_tokens) FROM total_usage")[0][0]
    partly = 0
    with KillPoints("kill_works:take_in") as works:
        works.seconds(str(path), str(source))
        while works.killed < IMPORTS:
            for left in tmp_path.glob("history.db*"):
                left.unlink()
            with closing(History(path, currency="EUR", zone=ZONE)):
                pass
            works.kill(str(path), str(source), chance=chance)
            held = RecordedHistory(path).rows("SELECT coalesce(sum(output_tokens), 0) FROM total_usage")[0][0]

            assert disagreements(path) == []
            assert held <= whole
            partly += 0 < held < whole
            works.seconds(str(path), str(source))
            assert RecordedHistory(path).rows("SELECT sum(output_tokens) FROM total_usage") == [(whole,)]
            assert disagreements(path) == []
    assert partly > IMPORTS / 4
