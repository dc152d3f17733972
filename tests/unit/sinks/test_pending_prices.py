"""A price that waits to be accepted shows on every surface, and is data for none of the bills."""

import json

from evenwatt.sinks.console import print_status
from evenwatt.sinks.metrics import render_metrics
from evenwatt.sinks.status import render_status
from evenwatt.snapshot import PendingPrice
from sink_fixtures import snapshot

PENDING = PendingPrice(
    reference="acme:large",
    accepted="1 input, no price for cached input, 5 output USD per Mtok",
    offered="2 input, no price for cached input, 5 output USD per Mtok",
    source="genai-prices 0.2.4",
    offered_utc_seconds=1_000.0,
)


def test_a_pending_price_is_a_metric():
    """There is a series for each reference whose price waits, and none otherwise."""
    page = render_metrics(snapshot(pending_prices=(PENDING,))).decode()

    assert 'evenwatt_api_price_pending{reference="acme:large"} 1.0' in page
    assert "evenwatt_api_price_pending" not in render_metrics(snapshot()).decode()


def test_a_pending_price_is_in_the_status(capsys):
    """Both prices are told, with the command that accepts the new one."""
    document = json.loads(render_status(snapshot(pending_prices=(PENDING,))))
    print_status(document)
    said = " ".join(capsys.readouterr().out.split())

    assert document["pending_prices"][0]["reference"] == "acme:large"
    assert "acme:large: 2 input, no price for cached input, 5 output USD per Mtok" in said
    assert "evenwatt prices accept acme:large" in said
