"""A history of the first release learns of host power, and calibrations are kept beside the agent."""

import sqlite3
from contextlib import closing

import pytest
from sqlite_utils import Database

from evenwatt.sinks.history import CalibrationRow, History, history_beside
from evenwatt.sinks.history.migrations import migrations
from sink_fixtures import HOUR, served, tick

GPU_POWER = CalibrationRow(
    utc_seconds=1_000.0,
    kind="gpu_power",
    subject="http",
    result={"factor": 1.08, "r_squared": 0.999},
    settings={"seconds": 600},
)


@pytest.fixture
def path(tmp_path):
    """Where the history is."""
    return tmp_path / "history.db"


def test_a_history_of_the_first_release_is_brought_up_to_date(path):
    """Its rows stay, nothing is known of its host energy, and host energy is added from then on."""
    database = Database(path)
    migrations.apply(database, stop_before="m003_host_energy")
    database.execute(
        "INSERT INTO total_usage (engine, model, active_joules) VALUES ('chat', 'small', 5000.0)"
    )
    database.conn.commit()
    database.close()

    with closing(History(path, currency="EUR")) as history:
        before = history.totals()
        history.write(tick({(HOUR, "chat", "small"): served(active_joules=600.0)}))
        after = history.totals()

    assert before.usage["chat", "small"].active_joules == 5_000.0
    assert before.meters == {}
    assert after.usage["chat", "small"].active_joules == 5_600.0
    assert after.meters["rapl"].energy_joules == 600.0


def test_calibrations_are_kept_beside_the_agent(path):
    """A command adds one while the agent has the history open, and the newest of a kind comes first."""
    with closing(History(path, currency="EUR")) as history:
        with history_beside(path, may_write=True) as beside:
            beside.add_calibration(GPU_POWER)
            beside.add_calibration(
                CalibrationRow(
                    utc_seconds=2_000.0, kind="capacity", subject="chat", result={"rate": 5}, settings={}
                )
            )

        assert history.calibrations("gpu_power") == (GPU_POWER,)
        assert [row.subject for row in history.calibrations("capacity")] == ["chat"]
        assert history.calibrations("other") == ()


def test_the_tables_refuse_what_is_no_number(path):
    """STRICT tables keep words out of joules."""
    with closing(History(path, currency="EUR")):
        pass
    with closing(sqlite3.connect(path)) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("INSERT INTO total_meter VALUES ('rapl', 'much', 1.0, 0)")
