"""What a tick becomes on the port: its event, the half hour before it, the page that says it is simulated."""

import json

import pytest

from evenwatt.economics.cost import Costs
from evenwatt.model import Moment
from evenwatt.service.page.live import LiveLog
from evenwatt.service.publishing import pages
from sink_fixtures import HOUR, MINUTE, served, snapshot

MTOK_PER_MINUTE = 1.6
COST_PER_MINUTE = 0.0606


def after(seconds, **values):
    """Return the snapshot at which each minute that has begun was served, and told in whole at its begin."""
    rows = {(HOUR + start, "chat", "small"): served() for start in range(0, seconds + 1, MINUTE)}
    moment = Moment(utc_seconds=float(HOUR + seconds), boot_seconds=1_000.0 + seconds, boot_id="boot")
    return snapshot(rows, moment=moment, **values)


def told(*snapshots):
    """Return the event and the document of the last of these."""
    log = LiveLog()
    for shown in snapshots:
        event, document = log.told(shown)
    return json.loads(event), json.loads(document)


def test_a_tick_tells_rates_since_the_one_before():
    """Of each kind of token; the first has nothing before it, and no rates rather than zeros."""
    first, _ = told(after(0))
    event, _ = told(after(0), after(60), after(120))

    assert first["tokens_per_second"] is None
    assert first["now"]["cost_per_mtok"] is None
    assert event["tokens_per_second"] == {
        "input": pytest.approx(1_000_000 / 60),
        "cached_input": pytest.approx(500_000 / 60),
        "output": pytest.approx(100_000 / 60),
        "total": pytest.approx(1_600_000 / 60),
    }


def test_now_is_the_last_five_minutes():
    """What was before them counts no longer; the cost is that of the tokens in them."""
    event, _ = told(*(after(minute * MINUTE) for minute in range(11)))

    assert event["now"]["seconds"] == 300
    assert event["now"]["tokens"] == 5 * MTOK_PER_MINUTE * 1e6
    assert event["now"]["cost_per_mtok"] == pytest.approx(COST_PER_MINUTE / MTOK_PER_MINUTE)


def test_a_cost_of_which_a_part_is_not_known_has_no_figure():
    """Electricity alone is not what a token costs now."""
    unknown = Costs(hardware=None, energy=0.036, labour=0.0, other=0.0)
    event, _ = told(*(after(seconds, cost_per_hour=unknown) for seconds in (0, 60)))

    assert event["now"]["tokens"] == MTOK_PER_MINUTE * 1e6
    assert event["now"]["cost_per_mtok"] is None


def test_half_an_hour_is_kept_in_a_bounded_number_of_points():
    """Older ticks are forgotten, and of fast ones a few stand for all."""
    _, slow = told(*(after(minute * MINUTE) for minute in range(45)))
    _, fast = told(*(after(3 * number) for number in range(60)))

    assert slow["points"]["utc_seconds"] == [HOUR + minute * MINUTE for minute in range(15, 45)]
    assert fast["points"]["utc_seconds"] == [*range(HOUR + 6, HOUR + 177, 6), HOUR + 177]


@pytest.mark.parametrize("simulated", [True, False])
def test_the_page_itself_says_that_it_is_simulated(simulated):
    """Before any script has run, and also where none may."""
    html = pages(snapshot(simulated=simulated), stale_after_seconds=60.0).by_path["/"].body

    assert (b'<p class="simulated">' in html, b'<p class="simulated" hidden>' in html) == (
        simulated,
        not simulated,
    )
