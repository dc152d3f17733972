"""The power is cut amid a write, or writes fail: the history is sound, at most the running minute is gone.

On a real file system, with a library between SQLite and it that tears the last write and drops what was not
synced.
"""

import pytest

from failing_disk import POWER_CUT, FailingDisk
from history_checks import disagreements
from kill_works import write_ticks
from recorded_history import RecordedHistory

CUTS = 24
TOKENS = 100_000
RUNNING_MINUTE_TICKS = 2

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """The disk that fails."""
    return FailingDisk(tmp_path_factory.mktemp("disk"), "history.db")


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def held_and_told(path, acknowledged):
    """Return how many ticks the history holds, and the last one that was said to be written."""
    told = acknowledged.read_bytes().splitlines() if acknowledged.exists() else []
    cursor = RecordedHistory(path).cursor("test")
    return (0 if cursor is None else cursor["ticks"]), (int(told[-1]) if told else 0)


def assert_sound(path, held):
    """Check that the history holds its ticks once, in all levels."""
    ((tokens,),) = RecordedHistory(path).rows("SELECT sum(output_tokens) FROM total_usage")
    assert (tokens or 0) == held * TOKENS
    assert disagreements(path) == []


def test_a_power_cut_takes_the_running_minute_at_most(disk, path, tmp_path):
    """However the last writes were torn and dropped, what was synced a minute ago is there, once."""
    acknowledged = tmp_path / "acknowledged"
    write_ticks(str(path), str(acknowledged))
    cut = lost = 0
    for seed in range(CUTS):
        before, _ = held_and_told(path, acknowledged)
        code = disk.run(
            "kill_works:write_ticks", str(path), str(acknowledged), how="cut", after=7 + 61 * seed, seed=seed
        )
        assert code in {0, POWER_CUT}
        cut += code == POWER_CUT
        held, told = held_and_told(path, acknowledged)

        assert_sound(path, held)
        assert before <= held <= told + 1
        assert held >= told - RUNNING_MINUTE_TICKS
        lost += held < told
        acknowledged.write_text(f"{held}\n")
    assert cut > CUTS / 2
    assert lost > 0


@pytest.mark.parametrize("how", ["eio", "full"])
def test_writes_that_fail_are_made_later(disk, path, tmp_path, how):
    """A tick whose writes fail is not half there; the next one finds all that was written before."""
    acknowledged = tmp_path / "acknowledged"
    write_ticks(str(path), str(acknowledged))
    for seed in range(8):
        code = disk.run(
            "kill_works:keep_ticks",
            str(path),
            str(acknowledged),
            how=how,
            after=5 + 37 * seed,
            count=1 + 5 * seed,
        )
        held, told = held_and_told(path, acknowledged)

        assert code == 0
        assert held == told
        assert_sound(path, held)
