"""Replays: the record of another time and boot, told again as if it happened now."""

from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import (
    Coverage,
    EnergyCounter,
    EnginePart,
    Epoch,
    HostReading,
    ModelCounters,
    Moment,
    PowerSample,
)
from evenwatt.readings.recording import Recorder
from evenwatt.readings.replay import readings_in, replay_sources
from evenwatt.readings.simulated import simulated_server
from readings_fixtures import HandClock, engine_reading, gpus_reading, moment


@pytest.fixture
def path(tmp_path) -> Path:
    """Name a recording that is yet to be written."""
    return tmp_path / "server.jsonl"


@pytest.fixture
def clock() -> HandClock:
    """Return the present."""
    return HandClock()


@pytest.fixture
def replay(path, clock):
    """Return a function that records readings and gives the sources that replay them; closes them."""
    with ExitStack() as stack:

        def record_and_replay(*readings):
            _record(path, *readings)
            sources = replay_sources(path, clock=clock)
            for source in sources:
                stack.callback(source.close)
            return sources

        yield record_and_replay


def _record(path, *readings):
    with closing(Recorder(path)) as recorder:
        for reading in readings:
            assert recorder.write(reading)


def _watts(readings, index) -> list[float]:
    return [s.power_watts for reading in readings for s in reading.gpus[index].power_samples]


def _times_open(path) -> int:
    return sum(link.resolve() == path for link in Path("/proc/self/fd").iterdir())


def _output_tokens(reading) -> int:
    return reading.models[0].output_tokens


def test_every_recorded_source_is_replayed(replay, path):
    """Sources keep their names, and say that they are replayed and from where."""
    sources = replay(
        gpus_reading(moment(100.0), 5.0),
        engine_reading(moment(100.5), engine="chat"),
        engine_reading(moment(100.6), engine="code"),
        gpus_reading(moment(110.0), 6.0),
    )

    assert [source.name for source in sources] == ["nvml", "chat", "code"]
    assert {(source.kind, source.address) for source in sources} == {("replayed", str(path))}


def test_first_reading_happens_now(replay, clock):
    """The moment of the first reading is the present on both clocks and of the present boot."""
    (chat,) = replay(engine_reading(moment(100.0), 7))

    assert chat.read().moment == clock()


def test_everything_that_tells_time_is_shifted_alike(replay, clock):
    """GPU moments, power samples and the start of an engine keep their distance from the reading."""
    gpus, chat = replay(gpus_reading(moment(100.0), 5.0, 300.0, 310.0), engine_reading(moment(100.0)))
    (gpu,) = gpus.read().gpus

    assert gpu.moment == clock()
    assert [sample.boot_seconds for sample in gpu.power_samples] == [
        clock.boot_seconds - 1.0,
        clock.boot_seconds,
    ]
    # It had been started 50 s after the boot of its machine.
    assert chat.read().epoch.started_boot_seconds == clock.boot_seconds - 50.0


def test_unknown_start_stays_unknown(replay):
    """An engine that did not tell since when it counts does not do so in a replay."""
    (chat,) = replay(replace(engine_reading(moment(100.0)), epoch=Epoch()))

    assert chat.read().epoch == Epoch()


def test_readings_are_handed_out_when_they_are_due(replay, clock):
    """A reading comes as long after the first as it did then, and not before."""
    (chat,) = replay(*(engine_reading(moment(100.0 + 10 * tick), tick) for tick in range(3)))
    start = clock()
    assert _output_tokens(chat.read()) == 0

    clock.advance(9.5)
    assert _output_tokens(chat.read()) == 0
    clock.advance(0.5)
    due = chat.read()

    assert _output_tokens(due) == 1
    assert due.moment.boot_seconds - start.boot_seconds == 10.0
    assert due.moment.utc_seconds - start.utc_seconds == 10.0


def test_what_is_missed_is_joined(replay, clock):
    """A call after several readings gives the newest with the power samples of all, and no sample twice."""
    (gpus,) = replay(
        gpus_reading(moment(100.0), None, 100.0),
        gpus_reading(moment(102.0), None, 200.0, 300.0),
        gpus_reading(moment(104.0), None, 400.0, 500.0),
    )
    clock.advance(3.0)
    joined = gpus.read()
    clock.advance(1.0)
    rest = gpus.read()

    assert joined.moment.boot_seconds == clock.boot_seconds - 2.0
    assert [s.power_watts for s in joined.gpus[0].power_samples] == [100.0, 200.0, 300.0]
    assert [s.power_watts for s in rest.gpus[0].power_samples] == [400.0, 500.0]


def test_between_two_readings_the_last_one_stands(replay, clock):
    """A call that comes too early gives the last reading at its old moment, without its samples."""
    (gpus,) = replay(gpus_reading(moment(100.0), 5.0, 300.0), gpus_reading(moment(110.0), 6.0, 300.0))
    first = gpus.read()
    clock.advance(5.0)
    again = gpus.read()

    assert again.moment == first.moment
    assert again.gpus[0].energy_joules == 5.0
    assert again.gpus[0].power_samples == ()


def test_source_that_began_later_is_unavailable_until_then(replay, clock):
    """Before its first reading a source says when that is due."""
    _, code = replay(
        engine_reading(moment(100.0), engine="chat"), engine_reading(moment(130.0), engine="code")
    )

    with pytest.raises(SourceUnavailable, match=r"server\.jsonl: the recording of code begins in 30 s"):
        code.read()
    clock.advance(30.0)
    assert code.read().moment == clock()


def test_source_that_was_down_is_down_again(replay, clock):
    """In a silence longer than any tick the source is unavailable, not standing at its last reading."""
    (chat,) = replay(engine_reading(moment(100.0), 0), engine_reading(moment(400.0), 1))
    chat.read()
    clock.advance(100.0)

    with pytest.raises(SourceUnavailable, match=r"chat was silent for 300 s .* goes on in 200 s"):
        chat.read()
    clock.advance(200.0)
    assert _output_tokens(chat.read()) == 1


def test_end_of_the_record_is_said(replay, clock):
    """The last reading is handed out however late the call; after it the source is unavailable."""
    (chat,) = replay(engine_reading(moment(100.0), 0), engine_reading(moment(110.0), 1))
    clock.advance(1_000.0)
    assert _output_tokens(chat.read()) == 1

    with pytest.raises(SourceUnavailable, match=r"server\.jsonl: the recording of chat has ended"):
        chat.read()


def test_a_later_boot_follows_at_the_distance_of_utc(replay, clock):
    """Across a reboot of the recorded machine the boot clock runs on as UTC did, on the present boot."""
    (chat,) = replay(
        engine_reading(moment(5_000.0, "first"), 10, process="one"),
        engine_reading(
            Moment(utc_seconds=1_005_060.0, boot_seconds=20.0, boot_id="second"), 3, process="two"
        ),
    )
    chat.read()
    clock.advance(60.0)
    later = chat.read()

    assert later.moment == clock()
    assert later.epoch.signals == {"process": "two"}
    # Its process says 50 s after the boot, which is 30 s from now on the second boot's clock.
    assert later.epoch.started_boot_seconds == clock.boot_seconds + 30.0


def test_utc_set_back_in_a_reboot_does_not_turn_time_back(replay, clock):
    """Where UTC claims that the second boot was before the first, the boot clock stands instead."""
    (chat,) = replay(
        engine_reading(moment(5_000.0, "first"), 10),
        engine_reading(Moment(utc_seconds=900_000.0, boot_seconds=20.0, boot_id="second"), 3),
    )
    latest = chat.read()

    assert _output_tokens(latest) == 3
    assert latest.moment.boot_seconds == clock.boot_seconds


@settings(deadline=None)
@given(steps=st.lists(st.floats(min_value=0.1, max_value=40.0), min_size=1, max_size=30))
def test_any_pattern_of_calls_gives_the_whole_record(steps):
    """However a replay is read, each power sample comes once and time never runs back."""
    clock = HandClock()
    gpus, *_ = simulated_server(clock)
    recorded = []
    for _ in range(12):
        recorded.append(gpus.read())
        clock.advance(5.0)
        gpus.sample()
        clock.advance(5.0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "simulated.jsonl"
        _record(path, *recorded)
        (source,) = replay_sources(path, clock=clock)
        replayed = [source.read()]
        for step in [*steps, 1_000.0]:
            clock.advance(step)
            try:
                replayed.append(source.read())
            except SourceUnavailable:
                break
        source.close()

    moments = [reading.moment for reading in replayed]
    assert all(a.boot_seconds <= b.boot_seconds for a, b in pairwise(moments))
    assert all(a.utc_seconds <= b.utc_seconds for a, b in pairwise(moments))
    assert replayed[-1].gpus[0].energy_joules == recorded[-1].gpus[0].energy_joules
    for index in (0, 1):
        assert _watts(replayed, index) == _watts(recorded, index)


def test_empty_recording_is_unavailable(replay):
    """A recording without a reading cannot be replayed, and says so at once."""
    with pytest.raises(SourceUnavailable, match=r"server\.jsonl: the recording holds no reading"):
        replay()


def test_faults_are_found_before_anything_is_replayed(path, clock):
    """A malformed line at the end of a recording is reported at the start."""
    _record(path, engine_reading(moment(100.0)))
    with path.open("a", encoding="utf-8") as file:
        file.write("nonsense\n")

    with pytest.raises(SourceContractError, match=r"server\.jsonl:3: found 'nonsense"):
        replay_sources(path, clock=clock)


def test_boot_that_is_recorded_under_way_is_a_fault(replay, path, clock):
    """A recording that goes on after a reboot while it is replayed is refused, not misplaced in time."""
    (chat,) = replay(engine_reading(moment(100.0)), engine_reading(moment(110.0)))
    _record(path, engine_reading(moment(20.0, "later-boot")))
    clock.advance(10.0)

    with pytest.raises(SourceContractError, match="found readings of a boot that was not in it before"):
        chat.read()


def test_closed_source_holds_no_file(path, clock):
    """Closing lets go of the recording."""
    _record(path, engine_reading(moment(100.0)), engine_reading(moment(110.0)))
    (chat,) = replay_sources(path, clock=clock)
    held = _times_open(path)
    chat.close()

    assert (held, _times_open(path)) == (1, 0)


def test_readings_can_be_had_as_they_were_recorded(path):
    """Beside the replay, the record itself is given unshifted."""
    recorded = [engine_reading(moment(100.0), 1), gpus_reading(moment(100.5), 5.0, 300.0)]
    _record(path, *recorded)

    assert list(readings_in(path)) == recorded


def test_host_power_is_replayed_like_any_source(replay, clock):
    """Its samples come with the next reading, its counters as they were, and its boot stays the same one."""
    start = moment(0)
    readings = [
        HostReading(
            source="rapl",
            meter="/sys/class/powercap",
            moment=moment(seconds),
            covers=Coverage.CPU,
            epoch=Epoch(signals={"boot": start.boot_id}, started_boot_seconds=0.0),
            counters=(EnergyCounter(name="package-0", energy_joules=joules, most_watts=250.0),),
            power_samples=(PowerSample(boot_seconds=moment(seconds).boot_seconds, power_watts=joules),),
        )
        for seconds, joules in ((0, 10.0), (10, 20.0), (20, 30.0), (40, 50.0))
    ]
    (source,) = replay(*readings)
    first = source.read()
    clock.advance(20)
    later = source.read()

    assert source.name == "host_power"
    assert [sample.power_watts for sample in later.power_samples] == [20.0, 30.0]
    assert later.power_samples[-1].boot_seconds == pytest.approx(later.moment.boot_seconds)
    assert later.counters[0].energy_joules == 30.0
    assert later.epoch.signals == first.epoch.signals
    assert later.moment.boot_seconds - first.moment.boot_seconds == pytest.approx(20)
    assert source.read().power_samples == ()


def _part(at, name, **values):
    counters = ModelCounters(model=name, input_tokens=5, output_tokens=50)
    epoch = Epoch(signals={"process": name}, started_boot_seconds=at.boot_seconds - 3)
    return EnginePart(name=name, model=name, moment=at, epoch=epoch, models=(counters,), **values)


def test_processes_of_an_engine_are_replayed_at_their_moments_and_their_end_once(path, replay, clock):
    """Moments and starts move to the present; an end that fell between two ticks is told, and only once."""
    first, second, third = (moment(seconds) for seconds in (0, 10, 20))
    recorded = [
        replace(engine_reading(first), parts=(_part(first, "a"),)),
        replace(engine_reading(second), parts=(_part(second, "a", has_ended=True), _part(second, "b"))),
        replace(engine_reading(third), parts=(_part(third, "b"),)),
        replace(engine_reading(moment(30)), parts=(_part(moment(30), "b"),)),
    ]
    (source,) = replay(*recorded)
    start = clock()
    first_told = source.read()
    clock.advance(20)
    told = source.read()
    again = source.read()

    (part,) = first_told.parts
    assert part.moment.boot_seconds == pytest.approx(start.boot_seconds)
    assert part.epoch.started_boot_seconds == pytest.approx(start.boot_seconds - 3)
    assert [(part.name, part.has_ended) for part in told.parts] == [("a", True), ("b", False)]
    assert [part.name for part in again.parts] == ["b"]
