"""Whatever is killed and whenever: nothing is booked twice, and only what nobody can know is lost."""

import math
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from counting_engine import Counts
from fake_nvml import boot_seconds, build_library
from metered_site import ENGINE, PRICE_PER_KWH, EngineLife, MeteredSite
from recorded_history import minute_of

KILLS = 100
KILLS_WITHOUT_ENGINE = 10
RESTARTS = 20
COMMIT_SECONDS = 0.0003
"""Twice what it takes to write a tick to the log."""
JOULES_PER_KWH = 3_600_000
SLEWING = 1e-3
"""By how much a minute of the calendar may differ from 60 seconds of the boot clock."""


@dataclass
class Aftermath:
    """A site after a run, its agent stopped in order, and what the test saw meanwhile.

    Attributes:
        on_metrics: Booked tokens of all models on the last metrics page.
        restarts_on_metrics: Of the engine, on the same page.
        first_tick_between: Boot-clock moments before and after the first committed tick.
        last_tick_between: The same of the last one.
        ticked: For each killed run of the agent, whether it had committed a tick.
        lives: Processes of the engine that were booked, in order.
        deaths: How often the engine, or the agent during the engine's life, was killed; by the engine's PID.
    """

    site: MeteredSite
    on_metrics: tuple = ()
    restarts_on_metrics: float | None = None
    first_tick_between: tuple = ()
    last_tick_between: tuple = ()
    ticked: list[bool] = field(default_factory=list)
    lives: list[EngineLife] = field(default_factory=list)
    deaths: Counter = field(default_factory=Counter)

    def start_agent(self):
        """Start the agent and take down when, until it has committed a tick."""
        if self.site.last_tick() is None:
            self.first_tick_between = (boot_seconds(), math.inf)
        self.site.agent.start()

    def note_first_tick(self):
        """Take down that the first tick is committed, if it is and was not before."""
        since, until = self.first_tick_between
        if until == math.inf and self.site.last_tick() is not None:
            self.first_tick_between = (since, boot_seconds())

    def note_life(self):
        """Take down what was booked of the engine's process that has just ended, if any of it was."""
        life = self.site.engine_life()
        if life is not None and (not self.lives or life.pid != self.lives[-1].pid):
            self.lives.append(life)

    def end(self):
        """Let everything come to rest, look at the metrics, and stop the agent in order."""
        self.site.come_to_rest()
        self.on_metrics = self.site.agent.tokens(ENGINE)
        self.restarts_on_metrics = self.site.agent.metric("evenwatt_engine_restarts_total", engine=ENGINE)
        asked = boot_seconds()
        assert self.site.agent.stop() == 0
        self.last_tick_between = (asked, boot_seconds())
        self.note_life()
        self.site.engine.stop()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return the library of the fake GPUs."""
    return build_library(tmp_path_factory.getbasetemp() / "nvml")


# --- the agent is killed -----------------------------------------------------------------------------------


def while_it_starts(agent, chance):
    """Wait for a moment of the start: imports, opening the history, the first tick."""
    time.sleep(chance.uniform(0.0, 0.6))


def while_it_runs(agent, chance):
    """Wait for a moment between, before or in ticks."""
    agent.wait_until_ready()
    time.sleep(chance.uniform(0.0, 0.3))


def while_it_writes(agent, chance):
    """Wait for a moment of a write or right after it: the first one after the start, or that of a tick."""
    if chance.random() < 0.75:
        agent.wait_until_ready()
    log = agent.history.with_name(f"{agent.history.name}-wal")

    def written():
        return log.stat().st_mtime_ns if log.exists() else None

    before = written()
    spin(5.0, until=lambda: written() != before)
    spin(chance.uniform(0.0, COMMIT_SECONDS))


def spin(seconds, until=lambda: False):
    """Wait for a condition, at most for a time; without a sleep, which is longer than a write takes."""
    over = time.monotonic() + seconds
    while time.monotonic() < over and not until():
        pass


MOMENTS = (while_it_starts, while_it_runs, while_it_writes, while_it_writes)


@pytest.fixture(scope="module")
def agent_killed(tmp_path_factory, library):
    """Return what is left of a site whose agent was killed 100 times, the engine counting all the time."""
    chance = random.Random(100)
    with MeteredSite(tmp_path_factory.mktemp("killed"), library, tick_seconds=0.1) as site:
        run = Aftermath(site)
        for number in range(KILLS):
            last_tick = site.last_tick()
            run.start_agent()
            if number == KILLS_WITHOUT_ENGINE:
                site.wait_for_a_whole_tick()
                site.start_engine()
                site.draw_power()
                # Nobody can know when power rose between two readings: it is read once before the next kill.
                site.wait_for_a_whole_tick()
            chance.choice(MOMENTS)(site.agent, chance)
            site.agent.kill()
            run.note_first_tick()
            run.ticked.append(site.last_tick() != last_tick)
        site.agent.start()
        site.agent.wait_until_ready()
        run.end()
        yield run


def test_agent_was_killed_before_and_after_ticks(agent_killed):
    """Some runs of the agent died before their first tick was committed, others after it."""
    assert len(agent_killed.ticked) == KILLS
    assert agent_killed.ticked.count(False) >= KILLS / 10
    assert agent_killed.ticked.count(True) >= KILLS / 10


def test_tokens_are_exact_after_100_kills(agent_killed):
    """Every token that the engine counted is booked once, on the metrics and on each level of the history."""
    truth = agent_killed.site.engine.truth()[-1]
    exact = {model: tuple(counts.as_dict().values()) for model, counts in truth.models.items()}

    assert truth.event == "stop"
    assert agent_killed.site.history.counted(ENGINE) == exact
    assert agent_killed.site.history.counted(ENGINE, "hour") == exact
    assert agent_killed.site.history.counted(ENGINE, "minute") == exact
    assert agent_killed.on_metrics == tuple(map(sum, zip(*exact.values(), strict=True)))[:3]


def test_engine_that_was_not_touched_did_not_restart(agent_killed):
    """A killed agent never takes the engine that it finds again for another one."""
    assert agent_killed.site.history.events("engine_restart") == []
    assert agent_killed.restarts_on_metrics == 0
    assert agent_killed.site.history.events("history_corrupt") == []


def test_counted_joules_are_exact_after_100_kills(agent_killed):
    """A GPU's energy counter is booked to the last of its millijoules."""
    site = agent_killed.site
    booked = site.history.level("gpu", "total")["GPU-counter",]["energy_joules"]
    truth = site.true_joules(site.counter_gpu)

    assert truth > 10_000
    assert booked == pytest.approx(truth, abs=0.01)


def test_integrated_joules_are_close_after_100_kills(agent_killed):
    """Power without a counter is integrated across the kills, within half a percent of the truth."""
    site = agent_killed.site
    booked = site.history.level("gpu", "total")["GPU-sampled",]["energy_joules"]

    assert booked == pytest.approx(site.true_joules(site.sampled_gpu), rel=0.005)


# --- the engine is killed too ------------------------------------------------------------------------------


def engine_ends_while_watched(run, chance):
    """Kill the engine under a running agent, or one that is about to run."""
    run.site.engine.kill()
    run.site.wait_for_a_whole_tick()
    run.note_life()
    run.site.start_engine()


def engine_restarts_unseen(run, chance):
    """Kill the agent, then the engine; start the engine, then the agent."""
    kill_agent(run)
    time.sleep(chance.uniform(0.0, 0.3))
    run.site.engine.kill()
    run.note_life()
    run.site.start_engine()
    run.site.agent.start()


def agent_returns_to_no_engine(run, chance):
    """Kill both at once; the agent is there again before the engine."""
    kill_agent(run)
    run.site.engine.kill()
    run.note_life()
    run.site.agent.start()
    time.sleep(chance.uniform(0.0, 1.0))
    run.site.start_engine()


def kill_agent(run):
    """Kill the agent and count that."""
    run.site.agent.kill()
    run.deaths[run.site.engine.pid] += 1


@pytest.fixture(scope="module")
def engine_killed(tmp_path_factory, library):
    """Return what is left of a site whose engine was killed 20 times, and its agent at random."""
    chance = random.Random(20)
    with MeteredSite(tmp_path_factory.mktemp("restarted"), library, tick_seconds=0.2) as site:
        run = Aftermath(site)
        run.start_agent()
        site.agent.wait_until_ready()
        run.note_first_tick()
        site.wait_for_a_whole_tick()
        site.start_engine()
        site.draw_power()
        for _ in range(RESTARTS):
            time.sleep(chance.uniform(0.1, 0.9))
            if chance.random() < 0.3:
                kill_agent(run)
                site.agent.start()
                time.sleep(chance.uniform(0.0, 0.9))
            run.deaths[site.engine.pid] += 1
            chance.choice((engine_ends_while_watched, engine_restarts_unseen, agent_returns_to_no_engine))(
                run, chance
            )
        site.agent.wait_until_ready()
        run.end()
        yield run


def test_booked_is_the_last_page_read_of_each_life(engine_killed):
    """The engine's lives add up to what the last booked page of each says, which the engine did write."""
    site = engine_killed.site
    pages = [(line.pid, line.models) for line in site.engine.truth() if line.event == "page"]
    read = {}
    for life in engine_killed.lives:
        assert (life.pid, life.read) in pages
        for model, counts in life.read.items():
            read[model] = read.get(model, Counts()) + counts

    assert len(engine_killed.lives) > RESTARTS / 2
    exact = {model: tuple(counts.as_dict().values()) for model, counts in read.items()}
    assert site.history.counted(ENGINE) == exact
    assert site.history.counted(ENGINE, "minute") == exact
    assert engine_killed.on_metrics == tuple(map(sum, zip(*exact.values(), strict=True)))[:3]


def test_only_pages_nobody_could_commit_are_lost(engine_killed):
    """A death of engine or agent costs at most the pages of the one reading that it cut off."""
    pages_of_one_reading = 2
    for life in engine_killed.lives:
        pages = [
            line.models
            for line in engine_killed.site.engine.truth()
            if (line.event, line.pid) == ("page", life.pid)
        ]
        unread = len(pages) - 1 - max(i for i, models in enumerate(pages) if models == life.read)

        assert unread <= pages_of_one_reading * engine_killed.deaths[life.pid]


def test_last_life_is_booked_to_its_end(engine_killed):
    """Nothing of the engine that ended in order is lost."""
    truth = engine_killed.site.engine.truth()[-1]

    assert truth.event == "stop"
    assert (engine_killed.lives[-1].pid, engine_killed.lives[-1].read) == (truth.pid, truth.models)


def test_every_restart_that_can_be_seen_is_told_and_flagged(engine_killed):
    """A new process of the engine makes one event, one count, and a flag on the minute of all its models."""
    history, tick = engine_killed.site.history, engine_killed.site.tick_seconds
    restarts = len(engine_killed.lives) - 1
    told = [at for at, subject in history.events("engine_restart") if subject == ENGINE]
    flagged = {}
    for (minute, engine, model), row in history.level("usage", "minute").items():
        if row["restarted"]:
            flagged.setdefault(minute, set()).add((engine, model))

    assert len(told) == restarts
    assert engine_killed.restarts_on_metrics == restarts
    # An event stands at the end of the tick that read the new process, which may lie in the next minute.
    near = [{minute_of(at), minute_of(at - tick)} for at in told]
    assert all(minutes & flagged.keys() for minutes in near)
    assert flagged.keys() <= set().union(*near)
    assert all(who == {(ENGINE, "model-0"), (ENGINE, "model-1")} for who in flagged.values())


# --- what holds for both -----------------------------------------------------------------------------------


@pytest.fixture(params=["agent_killed", "engine_killed"])
def aftermath(request):
    """Return each of the two runs."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def history(aftermath):
    """Return the history of each of the two runs."""
    return aftermath.site.history


def known(row):
    """Return the columns of a row that say something."""
    return {name: value for name, value in row.items() if value is not None}


def known_sum(values):
    """Return the sum of what is known."""
    return sum(value for value in values if value is not None)


def sums_by_minute(rows, *columns):
    """Return what the rows of each minute add up to over columns, as far as it is known."""
    sums = Counter()
    for (minute, *_), row in rows.items():
        sums[minute] += known_sum(row[column] for column in columns)
    return dict(sums)


def test_all_time_is_accounted_for_once(aftermath, history):
    """The machine's seconds are those from the first tick to the last, and no minute has more than 60."""
    machine = history.cursor("machine")
    first, last = machine["first"][1], machine["last"][1]
    minutes = {minute: row["seconds"] for (minute,), row in history.level("host", "minute").items()}

    assert aftermath.first_tick_between[0] < first < aftermath.first_tick_between[1]
    assert aftermath.last_tick_between[0] < last < aftermath.last_tick_between[1]
    assert history.level("host", "total")[1,]["seconds"] == pytest.approx(last - first, rel=1e-9)
    assert sum(minutes.values()) == pytest.approx(last - first, rel=1e-9)
    assert all(0 < seconds <= 60 * (1 + SLEWING) for seconds in minutes.values())
    whole = sorted(minutes)[1:-1]
    assert all(minutes[minute] == pytest.approx(60, rel=SLEWING) for minute in whole)


def test_seconds_of_all_owners_are_the_machines(history):
    """In every minute the seconds of engines, models and `unallocated` add up to those of the machine."""
    host = sums_by_minute(history.level("host", "minute"), "seconds")
    usage = sums_by_minute(
        history.level("usage", "minute"), "active_seconds", "idle_loaded_seconds", "idle_empty_seconds"
    )

    assert usage == pytest.approx(host, rel=1e-9)


def test_joules_of_all_owners_are_the_gpus(history):
    """In every minute the joules of engines, models and `unallocated` add up to those of the GPUs."""
    gpus = sums_by_minute(history.level("gpu", "minute"), "energy_joules")
    usage = sums_by_minute(
        history.level("usage", "minute"), "active_joules", "idle_loaded_joules", "idle_empty_joules"
    )

    assert max(gpus.values()) > 1_000
    assert usage == pytest.approx(gpus, rel=1e-9)


def test_both_owners_have_a_part(history):
    """The engine has the GPU of its process and `unallocated` the other, so that their sum says something."""
    owners = {engine: row for (engine, _), row in history.level("usage", "total").items()}

    assert owners.keys() == {ENGINE, "unallocated"}
    joules = ("active_joules", "idle_loaded_joules", "idle_empty_joules")
    assert all(known_sum(row[state] for state in joules) > 0 for row in owners.values())


@pytest.mark.parametrize("table", ["usage", "gpu", "host", "api"])
@pytest.mark.parametrize(("level", "seconds"), [("hour", 3_600), ("total", None)])
def test_levels_agree(history, table, level, seconds):
    """Hours and totals are what their minutes add up to, column by column."""
    rows = history.level(table, level)
    added = history.minutes_added_up(table, level, seconds)

    assert rows
    assert rows.keys() == added.keys()
    for key, row in rows.items():
        assert known(row) == pytest.approx(known(added[key]), rel=1e-9)


def test_cost_of_energy_is_joules_by_price(history):
    """In every minute each owner pays for its joules, at the price of electricity."""
    rows = history.level("usage", "minute").values()
    joules = ("active_joules", "idle_loaded_joules", "idle_empty_joules")

    assert known_sum(row["energy_cost"] for row in rows) > 0
    for row in rows:
        cost = known_sum(row[state] for state in joules) * PRICE_PER_KWH / JOULES_PER_KWH
        assert (row["energy_cost"] or 0.0) == pytest.approx(cost, rel=1e-9)
