"""What went unwatched within the last hour follows from totals, also over a restart."""

from evenwatt.ledger import SourceTotals
from evenwatt.snapshot.alerts.gaps import RecentGaps


def totals(seconds):
    """Return totals of one source."""
    return {"chat": SourceTotals(gap_seconds=seconds)}


def test_only_what_grew_within_the_hour_counts():
    """A total that was there before is no gap, and what grew is forgotten after an hour."""
    gaps = RecentGaps(totals(9_000.0))

    assert gaps.seconds(totals(9_000.0), 0.0) == {}
    assert gaps.seconds(totals(9_100.0), 60.0) == {"chat": 100.0}
    assert gaps.seconds(totals(9_130.0), 120.0) == {"chat": 130.0}
    assert gaps.seconds(totals(9_130.0), 3_660.0) == {"chat": 30.0}
    assert gaps.seconds(totals(9_130.0), 3_720.0) == {}


def test_a_restart_keeps_the_hour():
    """What was kept goes on, and the gap of the restart itself comes to it."""
    before = RecentGaps(totals(0.0))
    before.seconds(totals(50.0), 100.0)
    after = RecentGaps(totals(50.0), before.steps)

    assert after.seconds(totals(250.0), 400.0) == {"chat": 250.0}
