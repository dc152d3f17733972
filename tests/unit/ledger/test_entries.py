"""Rows that add up, and postings that are merged."""

from evenwatt.ledger import GpuUse, HostUse, Posting, SourceTotals, Usage, merged_postings
from evenwatt.ledger.entries import add_rows
from evenwatt.model import Event, State
from ledger_values import START


def test_absent_and_absent_is_absent():
    """What neither row knows stays unknown."""
    row = Usage(input_tokens=1)
    add_rows(row, Usage(input_tokens=2))

    assert row == Usage(input_tokens=3)
    assert row.output_tokens is None


def test_absent_and_a_number_is_the_number():
    """What one row knows is known, on either side."""
    row = Usage(input_tokens=1)
    add_rows(row, Usage(output_tokens=2))

    assert row == Usage(input_tokens=1, output_tokens=2)


def test_flags_do_not_add_up():
    """A minute with two flagged parts is flagged, not flagged twice."""
    row = Usage(estimated=1, restarted=0)
    add_rows(row, Usage(estimated=1, restarted=1))

    assert row == Usage(estimated=1, restarted=1)


def test_a_state_gets_its_own_column():
    """Energy and time are kept by what they were spent on."""
    row = Usage()
    for state in (State.ACTIVE, State.IDLE_LOADED, State.IDLE_LOADED):
        row.add_joules(state, 2.0)
        row.add_seconds(state, 1.0)

    assert row == Usage(
        active_joules=2.0, idle_loaded_joules=4.0, active_seconds=1.0, idle_loaded_seconds=2.0
    )


def posting(*, tokens, minute, event):
    """Return a posting with a row of each kind."""
    return Posting(
        usage={(minute, "chat", "small"): Usage(output_tokens=tokens)},
        gpus={(minute, "GPU-a"): GpuUse(energy_joules=float(tokens))},
        hosts={minute: HostUse(seconds=float(tokens))},
        sources={"chat": SourceTotals(restarts=1, gap_seconds=float(tokens))},
        cursors={"engine:chat": {"output": tokens}, event: {}},
        events=(Event(utc_seconds=START, kind=event, subject="chat", text=""),),
    )


def test_merging_adds_rows_and_takes_the_later_cursors():
    """What a failed write left over and what came since become one transaction."""
    merged = merged_postings(
        posting(tokens=3, minute=START, event="one"), posting(tokens=4, minute=START, event="two")
    )

    assert merged.usage == {(START, "chat", "small"): Usage(output_tokens=7)}
    assert merged.gpus == {(START, "GPU-a"): GpuUse(energy_joules=7.0)}
    assert merged.hosts == {START: HostUse(seconds=7.0)}
    assert merged.sources == {"chat": SourceTotals(restarts=2, gap_seconds=7.0)}
    assert merged.cursors == {"engine:chat": {"output": 4}, "one": {}, "two": {}}
    assert [event.kind for event in merged.events] == ["one", "two"]


def test_merging_keeps_minutes_apart():
    """Rows of different minutes are not added."""
    merged = merged_postings(
        posting(tokens=3, minute=START, event="one"), posting(tokens=4, minute=START + 60, event="two")
    )

    assert {key[0] - START: row.output_tokens for key, row in merged.usage.items()} == {0: 3, 60: 4}


def test_merging_leaves_both_postings_alone():
    """A posting that somebody else still reads does not change under his hands."""
    first = posting(tokens=3, minute=START, event="one")
    second = posting(tokens=4, minute=START, event="two")
    merged_postings(merged_postings(first, second), second)

    assert first == posting(tokens=3, minute=START, event="one")
    assert second == posting(tokens=4, minute=START, event="two")
