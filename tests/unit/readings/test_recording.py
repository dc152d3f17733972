"""Recordings: what goes in comes out, whatever happened to the file in between."""

import json
import resource
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenwatt import __version__
from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.recording import FORMAT_VERSION, Recorder, readings_in
from readings_fixtures import engine_reading, gpus_reading, moment, readings

FIRST = engine_reading(moment(100.0), 10)
SECOND = gpus_reading(moment(101.0), None, 300.0, 310.0)


@pytest.fixture
def path(tmp_path) -> Path:
    """Name a recording that is yet to be written."""
    return tmp_path / "server.jsonl"


def _record(path, *values):
    with closing(Recorder(path)) as recorder:
        for value in values:
            assert recorder.write(value)


def _spoil(path, **changed):
    """Append the first reading once more, with fields changed; None leaves one out."""
    line = json.loads(path.read_text().splitlines()[1])
    fields = {name: value for name, value in (line["reading"] | changed).items() if value is not None}
    _append(path, json.dumps(line | {"reading": fields}))


def _append(path, text):
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def _faults_in(path) -> list[str]:
    with pytest.raises(SourceContractError) as caught:
        list(readings_in(path))
    return str(caught.value).splitlines()


@contextmanager
def _file_size_limit(size_bytes):
    """Let the kernel take no byte beyond a size, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@settings(deadline=None)
@given(st.lists(readings, max_size=4))
def test_round_trip_is_exact(values):
    """Every reading that the model can hold is read back equal, in its order."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "any.jsonl"
        _record(path, *values)

        assert values == list(readings_in(path))


def test_header_says_who_wrote_it(path):
    """The first line names the format's version and evenwatt's."""
    _record(path)

    expected = {"type": "recording", "format_version": FORMAT_VERSION, "evenwatt_version": __version__}
    assert expected == json.loads(path.read_text())


def test_readings_are_in_the_file_before_it_is_closed(path):
    """A reading can be read back as soon as it is written, so that a kill loses nothing."""
    with closing(Recorder(path)) as recorder:
        recorder.write(FIRST)

        assert list(readings_in(path)) == [FIRST]


def test_recording_is_continued(path):
    """A second recorder appends to what the first one wrote."""
    _record(path, FIRST)
    _record(path, SECOND)

    assert list(readings_in(path)) == [FIRST, SECOND]


def test_limit_keeps_the_beginning(path):
    """From the first reading that does not fit nothing is written, not even a smaller one."""
    _record(path, FIRST, FIRST)
    two_bytes = path.stat().st_size
    long = engine_reading(moment(102.0), engine="x" * 1_000)
    with closing(Recorder(path, limit_bytes=two_bytes + 900)) as recorder:
        kept = [recorder.write(reading) for reading in (FIRST, long, FIRST)]

    assert kept == [True, False, False]
    assert list(readings_in(path)) == [FIRST, FIRST, FIRST]


@pytest.mark.parametrize("lost_bytes", [2, 40, 200])
def test_torn_last_line_is_passed_over(path, lost_bytes):
    """What a kill tore is no fault."""
    _record(path, FIRST, FIRST)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - lost_bytes)

    assert list(readings_in(path)) == [FIRST]


def test_torn_last_line_is_cut_off_before_more_is_written(path):
    """A recorder that continues after a kill leaves no half line in the middle."""
    _record(path, FIRST, FIRST)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 40)
    _record(path, SECOND)

    assert list(readings_in(path)) == [FIRST, SECOND]


def test_half_written_line_is_taken_back(path):
    """When the disk fills up in mid-line, the error says so and the recording goes on with whole lines."""
    _record(path, FIRST)
    with closing(Recorder(path)) as recorder:
        with (
            _file_size_limit(path.stat().st_size + 20),
            pytest.raises(SourceUnavailable, match=r"server\.jsonl: .* cannot be written: No space left"),
        ):
            recorder.write(FIRST)
        recorder.write(SECOND)

    assert list(readings_in(path)) == [FIRST, SECOND]


def test_full_device_is_unavailable():
    """A device that takes nothing at all is reported, not raised as an OSError."""
    with pytest.raises(SourceUnavailable, match=r"/dev/full: .* cannot be written: No space left"):
        Recorder(Path("/dev/full"))


def test_recorder_leaves_another_file_alone(path):
    """A recorder refuses to append to what is no recording and changes nothing in it."""
    path.write_text("dear diary")

    with pytest.raises(SourceContractError, match=r":1: found 'dear diary', expected the header"):
        Recorder(path)

    assert path.read_text() == "dear diary"


@pytest.mark.parametrize("content", ["", "{}\n", "[1]\n", "\0" * 9_000, "[" * 9_000, '{"type": "gpus"}\n'])
def test_what_is_no_recording_is_refused(path, content):
    """A file without our header is a contract fault of its first line."""
    path.write_text(content)

    faults = _faults_in(path)

    assert len(faults) == 1
    assert faults[0].startswith(f"{path}:1: found ")
    assert "expected the header of a recording" in faults[0]


def test_other_format_names_the_version_to_use(path):
    """A recording of a later format says which evenwatt can read it."""
    path.write_text('{"type": "recording", "format_version": 9, "evenwatt_version": "7.1"}\n')

    assert [
        f"{path}:1: found format 9, expected {FORMAT_VERSION}; use the evenwatt that wrote it: '7.1'"
    ] == (_faults_in(path))


def test_all_faults_are_reported_at_once(path):
    """Each fault is a line with file, line number, what was found and what is expected."""
    _record(path, FIRST)
    _spoil(path, requests_running="many")
    _spoil(path, kind=None)
    _spoil(path, requests_walking=3)
    _append(path, "}{")
    _append(path, "[]")
    _append(path, '{"type": "fridge"}')
    fridge = repr('{"type": "fridge"}\n')
    _append(path, '{"type": "host"}')
    _spoil(path, epoch={"signals": [], "x": 1})
    _append(path, json.dumps({"type": "host", "reading": {"covers": "the moon"}}))
    _spoil(path, moment={"utc_seconds": 1.0, "boot_seconds": True, "boot_id": "b"})

    assert [
        f"{path}:3: found str for reading.requests_running, expected int | null",
        f"{path}:4: found no reading.kind, expected one",
        f"{path}:5: found reading.requests_walking, which format {FORMAT_VERSION} does not have; remove it",
        f"{path}:6: found '}}{{\\n', expected a JSON object; remove the line",
        f"{path}:7: found '[]\\n', expected a JSON object; remove the line",
        f"{path}:8: found {fridge}, expected a `type` of gpus, engine or host; remove the line",
        f"{path}:9: found no reading, expected one",
        f"{path}:10: found array for reading.epoch.signals, expected object",
        f"{path}:11: reading.covers: Invalid enum value 'the moon'; remove the line",
        f"{path}:12: found bool for reading.moment.boot_seconds, expected float",
    ] == _faults_in(path)


def test_no_more_than_twenty_faults_are_reported(path):
    """A file that is wrong throughout is not reported line by line for ever."""
    _record(path)
    for _ in range(30):
        _append(path, "nonsense")

    assert len(_faults_in(path)) == 20


def test_readings_before_the_first_fault_are_given(path):
    """What stands before a fault is yielded, what stands behind it is not."""
    _record(path, FIRST)
    _append(path, "nonsense")
    _record(path, SECOND)
    stream = readings_in(path)

    assert next(stream) == FIRST
    with pytest.raises(SourceContractError):
        next(stream)


def test_missing_file_is_unavailable(path):
    """A path without a file is named with the reason."""
    with pytest.raises(SourceUnavailable, match=r"server\.jsonl: .* cannot be read: No such file"):
        list(readings_in(path))
