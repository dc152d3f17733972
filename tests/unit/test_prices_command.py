"""`evenwatt prices` from outside: what it shows and asks; nothing counts before it is accepted."""

import json
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from textwrap import dedent

import pytest

from agent_process import AgentProcess
from evenwatt.economics.api import RateTier
from evenwatt.sinks.history import History, PriceOffer, PriceRow
from price_server import catalogue_of, serving
from sink_fixtures import served, tick

COMMAND_SECONDS = 60.0
SETTINGS = """
    currency: EUR
    usd_rate: {rate: 0.5, date: 2026-11-01}
    history: {path: %s}
    references:
      - anthropic:claude-haiku-4-5
      - acme:large
      - {name: negotiated, input: 0.5, output: 2}
"""
NOVEMBER = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def evenwatt(*arguments):
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "evenwatt", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def row(reference, price, *, at=0.0, **changes):
    """Return a price that was accepted in November."""
    return PriceRow(
        **{
            "reference": reference,
            "valid_from_utc_seconds": at,
            "accepted_utc_seconds": NOVEMBER,
            "input_usd_per_mtok": price,
            "cached_input_usd_per_mtok": price / 10,
            "output_usd_per_mtok": price * 5,
            "source": "genai-prices 0.2.3",
            **changes,
        }
    )


HAIKU = row(
    "anthropic:claude-haiku-4-5",
    1.0,
    cache_write_usd_per_mtok=1.25,
    batch_input_usd_per_mtok=0.5,
    batch_cached_input_usd_per_mtok=0.05,
    batch_output_usd_per_mtok=2.5,
)
TIER = RateTier(above_input_tokens=200_000, input_usd_per_mtok=Decimal(4), output_usd_per_mtok=Decimal(15))
LARGE = row("acme:large", 2.0, tiers=(TIER,))
NEGOTIATED = row(
    "negotiated",
    0.5,
    cached_input_usd_per_mtok=None,
    output_usd_per_mtok=2.0,
    source="configuration",
    accepted_by="configuration",
)
OFFER = PriceOffer(
    row=row("acme:large", 3.0, at=NOVEMBER - 3 * 86_400), is_dated=True, offered_utc_seconds=NOVEMBER
)


@pytest.fixture
def site(tmp_path):
    """A configuration and where its history would be."""
    path = tmp_path / "config.yaml"
    path.write_text(dedent(SETTINGS) % (tmp_path / "history.db"))
    return path, tmp_path / "history.db"


@pytest.fixture
def kept(site):
    """A configuration whose history has accepted prices, an offer, and tokens of this hour."""
    config, history = site
    minute = int(time.time()) // 60 * 60
    with closing(History(history, currency="EUR")) as opened:
        opened.settle_prices([HAIKU, LARGE, NEGOTIATED], offers=[OFFER])
        opened.write(tick({(minute, "chat", "small"): served(read=500_000, cached=300_000, wrote=200_000)}))
    return config, history


LISTED = """\
accepted in %s
1 USD = 0.5 EUR, the rate of 2026-11-01 (usd_rate)

USD per Mtok      input   cached   output    write  batch in batch out
anthropic:claude-haiku-4-5
  always              1      0.1        5     1.25       0.5       2.5
    genai-prices 0.2.3, accepted 2026-11-20 automatically
acme:large
  always              2      0.2       10        -         -         -
    > 200,000         4        -       15        -
    genai-prices 0.2.3, accepted 2026-11-20 automatically
  offered 2026-11-20: acme:large: input 2 -> 3, cached input 0.2 -> 0.3, output 10 -> 15, long-context tiers \
USD per Mtok, from 2026-11-17 (genai-prices 0.2.3)
  until then it counts nothing: evenwatt prices accept acme:large
negotiated
  always            0.5        -        2        -         -         -
    configuration, accepted 2026-11-20 as written
"""


def unfolded(text):
    """Return lines as they were before the terminal's width."""
    return " ".join(text.split())


@pytest.mark.parametrize("command", [("prices",), ("prices", "list")])
def test_prices_are_listed_with_their_dates_and_what_waits(kept, command):
    """Each reference with its rates, its tiers, who accepted them, and the offer beside what counts."""
    config, history = kept
    told = evenwatt(*command, "--config", config)

    assert (told.returncode, told.stderr) == (0, "")
    assert unfolded(told.stdout).startswith(unfolded(LISTED % history))


def test_an_option_in_the_wrong_place_is_not_passed_over(kept):
    """A configuration that is named before the command would be another one than the command's."""
    told = evenwatt("prices", "--config", kept[0], "list")

    assert told.returncode == 2
    assert "write options after the command: evenwatt prices list" in unfolded(told.stderr)


def test_the_list_for_programs_holds_every_record(kept):
    """Dates are ISO 8601, null stands for all time and for what is not known, and tiers are whole."""
    config, history = kept
    corrected = row("acme:large", 2.5)
    with closing(History(history, currency="EUR")) as opened:
        opened.settle_prices(
            [row("acme:large", 2.5, accepted_utc_seconds=corrected.accepted_utc_seconds + 1)]
        )
    document = json.loads(evenwatt("prices", "--json", "--config", config).stdout)
    large = document["references"][1]

    assert document["usd_rate"] == {"rate": 0.5, "date": "2026-11-01"}
    assert [(price["input_usd_per_mtok"], price["holds"]) for price in large["prices"]] == [
        (2.0, False),
        (2.5, True),
    ]
    assert large["prices"][0]["valid_from"] is None
    assert large["prices"][0]["accepted"] == "2026-11-20T12:00:00+00:00"
    assert large["prices"][0]["tiers"][0]["above_input_tokens"] == 200_000
    assert large["in_force"]["input_usd_per_mtok"] == 2.5
    assert large["offer"]["valid_from"] == "2026-11-17T12:00:00+00:00"


COMPARED = """\
mix measured in the last 7 days: 50.0% computed input, 30.0% cached input, 20.0% output
EUR per Mtok                 no cache   with hits            batch   batch, hits
negotiated *                   0.4000      0.4000   no batch price
anthropic:claude-haiku-4-5     0.9000      0.7650           0.4500      0.3825
acme:large                     1.8000      1.5300   no batch price
*: no price of its own for cached input: billed as input.
"""


def test_references_are_compared_at_the_measured_mix(kept):
    """By both bounds of the cache, in the site's currency, the cheapest first; no batch price is said so."""
    told = evenwatt("prices", "compare", "--config", kept[0])

    assert (told.returncode, told.stderr) == (0, "")
    for line in COMPARED.splitlines():
        assert unfolded(line) in unfolded(told.stdout)
    said = told.stdout
    assert said.index("negotiated *") < said.index("anthropic:") < said.index("acme:large")


@pytest.mark.parametrize(
    ("mix", "prices"),
    [("3:1", (0.4375, 1.0, 2.0)), ("1:1", (0.625, 1.5, 3.0)), ("30/70", (0.775, 1.9, 3.8)), ("1:3", None)],
)
def test_references_are_compared_at_a_mix_of_ones_own(kept, mix, prices):
    """At a mix of input and output alone there is one bound: it does not say what is cached."""
    told = evenwatt("prices", "compare", "--config", kept[0], "--mix", mix, "--json")
    rows = json.loads(told.stdout)["references"]

    assert [row["observed_cache"] for row in rows] == [None, None, None]
    if prices is not None:
        assert tuple(row["no_cache"] for row in rows) == pytest.approx(prices)
    assert rows[1]["batch"]["no_cache"] == pytest.approx(rows[1]["no_cache"] / 2)


@pytest.mark.parametrize("mix", ["7", "a:b", "1:-1", "0,0,0", "inf:1"])
def test_a_mix_that_is_none_is_told(kept, mix):
    """What cannot be a mix is named with what can, without a traceback."""
    told = evenwatt("prices", "compare", "--config", kept[0], f"--mix={mix}")

    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    assert "expected a mix: 3:1, 1:1, 30/70" in unfolded(told.stderr)


def test_without_a_history_the_catalogue_is_shown_and_said_to_be(site):
    """Prices that nobody has accepted are marked; what the catalogue does not know is told."""
    listed = evenwatt("prices", "--config", site[0])
    compared = evenwatt("prices", "compare", "--config", site[0])

    assert (listed.returncode, compared.returncode) == (0, 0)
    assert "There is no history yet, and nothing is accepted" in unfolded(listed.stdout)
    assert "genai-prices 0.2.3, not accepted" in listed.stdout
    assert "not known: The API price catalogue (genai-prices 0.2.3) has no provider 'acme'" in unfolded(
        listed.stdout
    )
    assert "mix 3:1 (assumed: no tokens were measured)" in compared.stdout
    assert not site[1].exists()


def test_accepting_says_what_changed_and_settles_the_offer(kept):
    """An offer counts from its day; then nothing waits, and asking for it is an error in words."""
    config, history = kept
    accepted = evenwatt("prices", "accept", "--config", config)
    again = evenwatt("prices", "accept", "--config", config)
    unknown = evenwatt("prices", "accept", "acme:large", "--config", config)

    assert unfolded(accepted.stdout).startswith("accepted: acme:large: input 2 -> 3,")
    assert again.stdout == "nothing waits to be accepted\n"
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == (
        "evenwatt: nothing waits to be accepted of acme:large, nor of any other reference\n"
    )
    with closing(History(history, currency="EUR")) as opened:
        last = [row for row in opened.prices() if row.reference == "acme:large"][-1]
        assert (last.input_usd_per_mtok, last.accepted_by) == (3.0, "person")
        assert last.valid_from_utc_seconds == NOVEMBER - 3 * 86_400
        assert opened.events(limit=1)[0].kind == "price_change"


def test_accepting_needs_a_history(site):
    """Where nothing was ever accepted, there is nothing to change."""
    told = evenwatt("prices", "accept", "--config", site[0])

    assert told.returncode == 1
    assert "there is no history yet" in told.stderr


def test_a_refresh_shows_the_difference_and_changes_nothing(kept):
    """What is fetched is compared with what counts, told old and new, and waits."""
    config, history = kept
    with serving(catalogue_of(large={"input_mtok": 2, "cache_read_mtok": 0.2, "output_mtok": 9})) as url:
        told = evenwatt("prices", "refresh", "--config", config, "--url", url)
    said = unfolded(told.stdout)

    assert (told.returncode, told.stderr) == (0, "")
    assert "anthropic:claude-haiku-4-5: input 1 -> 0.8, cached input 0.1 -> 0.08, output 5 -> 4" in said
    assert "acme:large: output 10 -> 9, long-context tiers USD per Mtok, from when it is accepted" in said
    assert "They count once they are accepted: evenwatt prices accept" in said
    with closing(History(history, currency="EUR")) as opened:
        assert {row.input_usd_per_mtok for row in opened.prices()} == {1.0, 2.0, 0.5}
        assert [offer.row.output_usd_per_mtok for offer in opened.price_offers()] == [9.0, 4.0]


def test_a_refresh_can_accept_what_it_shows(kept):
    """With --accept the difference counts from now on, and the records say when and by whom."""
    config, history = kept
    with serving(catalogue_of(large=[{"prices": {"input_mtok": 2, "output_mtok": 9}}])) as url:
        told = evenwatt("prices", "refresh", "--config", config, "--url", url, "--accept", "--json")
    document = json.loads(told.stdout)

    assert sorted(change["reference"] for change in document["accepted"]) == [
        "acme:large",
        "anthropic:claude-haiku-4-5",
    ]
    with closing(History(history, currency="EUR")) as opened:
        haiku = [row for row in opened.prices() if row.reference == HAIKU.reference]
        assert [row.input_usd_per_mtok for row in haiku] == [1.0, 0.8]
        assert haiku[1].valid_from_utc_seconds == haiku[1].accepted_utc_seconds
        assert "fetched" in haiku[1].source
        assert opened.price_offers() == ()


def test_a_refresh_without_a_network_is_told(kept):
    """The address, the reason, and that nothing has changed; exit code 1."""
    with serving(b"") as url:
        pass
    told = evenwatt("prices", "refresh", "--config", kept[0], "--url", url)

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith(f"evenwatt: API prices cannot be fetched: {url} cannot be reached")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["embedding-3", "SMALL"], "openai:text-embedding-3-small"),
        (["anthropic:claude-haiku-45"], "anthropic:claude-haiku-4-5"),
        (["haiku", "4.5"], "anthropic:claude-haiku-4-5"),
    ],
    ids=["parts of an id", "mistyped", "the model's name"],
)
def test_models_are_found_by_what_people_type(site, words, found):
    """Ids as `references` takes them, by parts of the id or of the name, else the nearest ones."""
    told = evenwatt("prices", "search", *words, "--config", site[0], "--json")
    models = json.loads(told.stdout)["models"]

    assert found in [model["reference"] for model in models]


def test_a_model_that_bills_input_only_is_found_as_such(site):
    """An embedding model says that its output is not merely of unknown price."""
    told = evenwatt("prices", "search", "text-embedding-3-small", "--config", site[0])

    assert "bills input only" in told.stdout


def test_a_running_agent_takes_what_is_accepted_beside_it(tmp_path):
    """A price accepted by the command is in force with the agent's next tick, and no longer pending."""
    references = [{"name": "flat", "input": 1.0, "output": 5.0}, "anthropic:claude-haiku-4-5"]
    agent = AgentProcess(tmp_path, {"engines": [], "references": references})
    with agent:
        agent.wait_for(lambda: prices_of(agent, "anthropic:claude-haiku-4-5"), 60.0)
        with serving(catalogue_of(large={"input_mtok": 1, "output_mtok": 1})) as url:
            evenwatt("prices", "refresh", "--config", agent.config, "--url", url)
        agent.wait_for(lambda: agent.metric("evenwatt_api_price_pending") == 1)
        evenwatt("prices", "accept", "--config", agent.config)

        agent.wait_for(lambda: agent.metric("evenwatt_api_price_pending") is None)
        assert agent.status()["pending_prices"] == []
    assert [price["input_usd_per_mtok"] for price in prices_of(agent, "anthropic:claude-haiku-4-5")] == [
        1.0,
        0.8,
    ]


def prices_of(agent, reference):
    """Return the prices that hold, as the command lists them."""
    document = json.loads(evenwatt("prices", "--json", "--config", agent.config).stdout or "{}")
    return [
        price
        for told in document.get("references", ())
        for price in told["prices"]
        if told["reference"] == reference and document["history"] and price["holds"]
    ]
