"""A clock that is set back a year and forward again: no second, no joule and no token is lost or twice."""

from contextlib import closing

import pytest

from evenwatt.ledger import Ledger, LedgerRules
from evenwatt.service.billing import priced
from evenwatt.sinks.history import History
from history_checks import disagreements
from kill_works import ZONE
from ledger_values import START, at, counters, engine, gpu, gpus
from sink_fixtures import BOOK

YEAR, DAY, TICK = 365 * 86_400, 86_400, 10


class Site:
    """A ledger and the history that it is written to, opened anew whenever it is asked to."""

    def __init__(self, path):
        self.path = path
        self.seconds = 0
        self.open()

    def open(self):
        """Go on as a new process of the agent does."""
        self.history = History(self.path, currency="EUR", zone=ZONE)
        self.ledger = Ledger(LedgerRules(gap_after_seconds=30.0), cursors=self.history.cursors(), models={})

    def run(self, ticks, *, stepped=0.0):
        """Tick on a clock that is set wrong by so much, with 100 W and 7 tokens a tick."""
        for _ in range(ticks):
            self.seconds += TICK
            moment = at(self.seconds, stepped=stepped)
            served = engine(moment, counters(wrote=7 * self.seconds // TICK))
            drawn = gpus(gpu(moment, 100.0 * self.seconds))
            posting = self.ledger.fold(moment, [served, drawn], engines=["chat"])
            self.history.write(priced(posting, BOOK))
            now = int(moment.utc_seconds) // DAY * DAY
            self.history.forget_some({"minute": now - 30 * DAY, "hour": now - 730 * DAY})


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_set_back_a_year_and_forward_again(tmp_path, restarts):
    """The time that passed is the boot clock's; where the minutes are, the calendar's of the moment."""
    site = Site(tmp_path / "history.db")
    for stepped in (0.0, -YEAR, 0.0, YEAR, 0.0):
        site.run(30, stepped=stepped)
        if restarts:
            site.history.close()
            site.open()
    with closing(site.history) as history:
        sums = history.totals()

    assert sums.host.seconds == pytest.approx(site.seconds - TICK, rel=1e-9)
    assert sums.gpus["GPU-a"].energy_joules == pytest.approx(100.0 * (site.seconds - TICK), rel=1e-9)
    assert sum(usage.output_tokens or 0 for usage in sums.usage.values()) == 7 * (site.seconds // TICK - 1)
    assert disagreements(site.path) == []
    with closing(History(site.path, currency="EUR", zone=ZONE)) as history:
        ((first, last),) = history.read("SELECT min(day), max(day) FROM day_host")
    assert first // DAY * DAY == (START - YEAR) // DAY * DAY
    assert last >= START + YEAR - DAY
