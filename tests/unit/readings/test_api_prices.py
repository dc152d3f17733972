"""The catalogue of API prices: what it holds, what it hides, and how it is asked without being kept."""

import fcntl
import os
import subprocess
import sys
import termios
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import psutil
import pytest

from evenwatt.economics.api import RateTier, ReferencePrice, api_cost, reference_price_from_usd
from evenwatt.economics.tokens import Tokens
from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.api_catalogue import bundled_catalogue
from evenwatt.readings.api_prices import (
    RateRequest,
    Rates,
    cached_rates,
    fetch_in_subprocess,
    reference_rates,
)

NOVEMBER = datetime(2026, 11, 20, tzinfo=UTC)
BEFORE_BATCH_HISTORY = datetime(2026, 10, 13, tzinfo=UTC)
MILLION = 1_000_000
HAIKU = RateRequest(provider="anthropic", model="claude-haiku-4-5", at=NOVEMBER)


def rates(input_usd: str, cached_usd: str | None, output_usd: str, write_usd: str | None = None) -> Rates:
    """Return exact rates."""
    return Rates(
        cache_write_usd_per_mtok=None if write_usd is None else Decimal(write_usd),
        input_usd_per_mtok=Decimal(input_usd),
        cached_input_usd_per_mtok=None if cached_usd is None else Decimal(cached_usd),
        output_usd_per_mtok=Decimal(output_usd),
    )


def price(provider: str, model: str, at: datetime = NOVEMBER) -> ReferencePrice:
    """Return a model's prices as the economics take them."""
    standard = reference_rates(provider, model, at).standard
    return reference_price_from_usd(
        name=f"{provider}:{model}",
        valid_from_utc_seconds=at.timestamp(),
        input_usd_per_mtok=standard.input_usd_per_mtok,
        cached_input_usd_per_mtok=standard.cached_input_usd_per_mtok,
        output_usd_per_mtok=standard.output_usd_per_mtok,
    )


def test_rates_are_exact_decimals_and_say_where_they_come_from():
    """Haiku 4.5 costs exactly 1 / 0.1 / 5 and 1.25 to write its cache, half in batch, by a named version."""
    found = reference_rates("anthropic", "claude-haiku-4-5", NOVEMBER)

    assert found.standard == rates("1", "0.1", "5", "1.25")
    assert found.batch == rates("0.5", "0.05", "2.5", "0.625")
    assert found.at == NOVEMBER
    assert found.catalogue_version.startswith("0.2.")


def test_name_of_a_release_is_understood_and_told():
    """A dated release is found as its model, and the entry that was taken is named."""
    found = reference_rates("anthropic", "claude-haiku-4-5-20251001", NOVEMBER)

    assert (found.model, found.catalogue_model) == ("claude-haiku-4-5-20251001", "claude-haiku-4-5")


def test_sums_over_many_requests_stay_at_the_base_tier():
    """50 M input and 1 M output tokens on Gemini 2.5 Pro are 72.50, not the 140.00 of one huge request."""
    bill = api_cost(
        Tokens(input_tokens=50 * MILLION, output_tokens=MILLION), price("google", "gemini-2.5-pro")
    )

    assert bill.no_cache == pytest.approx(72.50)


def test_long_context_tier_is_told_apart_from_the_base():
    """Gemini 2.5 Pro has its base rates for sums, and whole rates for requests above 200,000 input tokens."""
    standard = reference_rates("google", "gemini-2.5-pro", NOVEMBER).standard

    assert (standard.input_usd_per_mtok, standard.output_usd_per_mtok) == (Decimal("1.25"), 10)
    assert standard.tiers == (
        RateTier(
            above_input_tokens=200_000,
            input_usd_per_mtok=Decimal("2.5"),
            cached_input_usd_per_mtok=Decimal("0.25"),
            output_usd_per_mtok=Decimal(15),
        ),
    )


def test_standard_rates_are_not_passed_off_as_batch_rates():
    """Before the catalogue's batch history the standard rates come back silently: there is no batch price."""
    assert reference_rates("anthropic", "claude-haiku-4-5", BEFORE_BATCH_HISTORY).batch is None


def test_a_standard_cached_rate_is_not_passed_off_as_a_batch_rate():
    """o3 has batch rates for input and output alone; its cached rate comes back silently, and is none."""
    found = reference_rates("openai", "o3", NOVEMBER)

    assert found.standard.cached_input_usd_per_mtok == Decimal("0.5")
    assert found.batch == rates("1", None, "4")


@pytest.mark.parametrize("name", ["openai:text-embedding-3-small", "voyageai:voyage-3-large"])
def test_an_embedding_model_bills_no_output(name):
    """A model that gives no output tokens has an input price and, for its output, 0."""
    found = reference_rates(*name.split(":"), NOVEMBER)

    assert found.bills_input_only
    assert found.standard.input_usd_per_mtok > 0
    assert found.standard.output_usd_per_mtok == 0


def test_an_output_price_that_is_not_known_is_not_free():
    """A model that writes text, of which the catalogue has an input price alone, has no output price."""
    found = reference_rates("azure", "davinci", NOVEMBER)

    assert not found.bills_input_only
    assert found.standard.output_usd_per_mtok is None


def test_dated_changes_of_the_catalogue_are_told():
    """o3: from always, then a fifth of it from 2025-06-10, then with a batch price from 2026-10-14."""
    entries = reference_rates("openai", "o3", NOVEMBER).entries

    assert [(entry.valid_from, entry.standard, entry.batch) for entry in entries] == [
        (None, rates("10", "0.5", "40"), None),
        (date(2025, 6, 10), rates("2", "0.5", "8"), None),
        (date(2026, 10, 14), rates("2", "0.5", "8"), rates("1", None, "4")),
    ]


def test_a_change_that_is_still_to_come_is_not_an_entry():
    """What holds at a moment is the last of its entries, whatever the catalogue says of later days."""
    found = reference_rates("openai", "o3", datetime(2025, 6, 9, tzinfo=UTC))

    assert [entry.valid_from for entry in found.entries] == [None]
    assert found.entries[-1].standard == found.standard


@pytest.mark.parametrize(
    ("day", "input_usd", "output_usd"),
    [(datetime(2025, 6, 9, tzinfo=UTC), 10, 40), (datetime(2025, 6, 10, tzinfo=UTC), 2, 8)],
    ids=["the day before", "the first day"],
)
def test_price_of_the_day(day, input_usd, output_usd):
    """o3 cost five times as much until 2025-06-10."""
    standard = reference_rates("openai", "o3", day).standard

    assert (standard.input_usd_per_mtok, standard.output_usd_per_mtok) == (input_usd, output_usd)


def test_model_without_a_cached_price():
    """No cached price is None in the rates, and bills cached input as input."""
    standard = reference_rates("anthropic", "claude-2", NOVEMBER).standard
    claude_2 = price("anthropic", "claude-2")

    assert standard.cached_input_usd_per_mtok is None
    assert api_cost(Tokens(cached_input_tokens=MILLION), claude_2).observed_cache == pytest.approx(
        float(standard.input_usd_per_mtok)
    )


def test_prices_by_the_hour_are_told():
    """Where another hour of the day has another price, one rate is not the price of the day."""
    assert reference_rates("deepseek", "deepseek-v4-pro", NOVEMBER).varies_within_day
    assert not reference_rates("anthropic", "claude-haiku-4-5", NOVEMBER).varies_within_day


def test_e1_bill_between_no_cache_and_all_cached():
    """6.07 M input and 53 k output tokens are 0.628 without a cache and 0.082 with all input cached."""
    flash_lite = price("google", "gemini-2.5-flash-lite")

    no_cache = api_cost(Tokens(input_tokens=6_070_000, output_tokens=53_000), flash_lite).no_cache
    all_cached = api_cost(Tokens(cached_input_tokens=6_070_000, output_tokens=53_000), flash_lite)

    assert no_cache == pytest.approx(0.628, rel=5e-3)
    assert all_cached.observed_cache == pytest.approx(0.082, rel=5e-3)


def test_e2_nine_tenths_of_the_input_cached():
    """A million input tokens, nine tenths of them cached, are 0.19 on Haiku 4.5."""
    tokens = Tokens(input_tokens=100_000, cached_input_tokens=900_000)

    assert api_cost(tokens, price("anthropic", "claude-haiku-4-5")).observed_cache == pytest.approx(0.19)


@pytest.mark.parametrize(
    ("provider", "model", "said"),
    [
        ("openai", "gpt-4o-minii", ["'gpt-4o-minii' of openai", "gpt-4o-mini"]),
        ("opnai", "gpt-4o-mini", ["provider 'opnai'", "openai"]),
        ("anthropic", "?", ["'?' of anthropic. ", "provider:model"]),
    ],
    ids=["model", "provider", "nothing near"],
)
def test_unknown_names_are_refused_with_the_nearest_ids(provider, model, said):
    """What the catalogue does not know raises, names what is near, and says what to write instead."""
    with pytest.raises(SourceContractError) as raised:
        reference_rates(provider, model, NOVEMBER)

    for part in said:
        assert part in str(raised.value)


def test_every_id_of_the_catalogue_has_its_rates():
    """What `evenwatt prices search` shows can be written as a reference, also where no API answers by it."""
    catalogue = bundled_catalogue()

    for name, _ in catalogue.ids():
        provider, _, model = name.partition(":")
        assert catalogue.rates(provider, model, NOVEMBER).catalogue_model


def test_child_answers_as_the_catalogue_does():
    """Through the child come the same values, exact, and a fault for each name that is not known."""
    unknown = RateRequest(provider="anthropic", model="claude-haiku-4-6", at=NOVEMBER)
    o3_then = RateRequest(provider="openai", model="o3", at=datetime(2025, 6, 9, 12, 30, tzinfo=UTC))

    fetched = fetch_in_subprocess([HAIKU, unknown, o3_then])

    assert fetched.rates == (
        reference_rates(HAIKU.provider, HAIKU.model, HAIKU.at),
        reference_rates(o3_then.provider, o3_then.model, o3_then.at),
    )
    assert [fault.split(";")[0].split("has no ")[1] for fault in fetched.faults] == [
        "model 'claude-haiku-4-6' of anthropic"
    ]


def test_rates_of_the_day_are_kept_in_a_small_file(tmp_path):
    """What was looked up once that day comes from the file, exact, without the catalogue."""
    names = ["google:gemini-2.5-pro", "openai:o3"]
    first = cached_rates(names, at=NOVEMBER, cache=tmp_path / "new" / "prices.json")
    program = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from evenwatt.readings.api_prices import cached_rates\n"
        "at = datetime(2026, 11, 20, 23, tzinfo=UTC)\n"
        "found = cached_rates(sys.argv[2:], at=at, cache=Path(sys.argv[1]))\n"
        "print(repr(found.rates), 'genai_prices' in sys.modules)\n"
    )

    again = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "new" / "prices.json", *names],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert [rates.model for rates in first.rates] == ["gemini-2.5-pro", "o3"]
    assert again == f"{first.rates!r} False\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["prices.json"]


def test_rates_of_another_day_are_looked_up_anew(tmp_path):
    """The file of one day says nothing of another."""
    then = datetime(2025, 6, 9, tzinfo=UTC)
    cached_rates(["openai:o3"], at=NOVEMBER, cache=tmp_path / "prices.json")

    (found,) = cached_rates(["openai:o3"], at=then, cache=tmp_path / "prices.json").rates

    assert found.standard.input_usd_per_mtok == 10


@pytest.mark.parametrize("spoilt", [b"", b"\xff", b"[]", b'{"0.2.3 2026-11-20": {"openai:o3": {}}}', b"{"])
def test_a_spoilt_cache_is_written_anew(spoilt, tmp_path):
    """What cannot be read is passed over, and good the next time."""
    cache = tmp_path / "prices.json"
    cache.write_bytes(spoilt)

    (found,) = cached_rates(["openai:o3"], at=NOVEMBER, cache=cache).rates

    assert found == reference_rates("openai", "o3", NOVEMBER)
    assert b'"openai:o3"' in cache.read_bytes()


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path):
    """Where a file stands in place of the folder, rates come all the same."""
    (tmp_path / "file").touch()

    found = cached_rates(["openai:o3", "openai:o33"], at=NOVEMBER, cache=tmp_path / "file" / "prices.json")

    assert [rates.model for rates in found.rates] == ["o3"]
    assert "'o33' of openai" in found.faults[0]


def test_asking_the_child_leaves_no_catalogue_behind():
    """The process that asks never imports the catalogue, whose memory it could not give back."""
    program = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from evenwatt.readings.api_prices import RateRequest, fetch_in_subprocess\n"
        "at = datetime(2026, 11, 20, tzinfo=UTC)\n"
        "asked = [RateRequest(provider='openai', model='gpt-4o-mini', at=at)]\n"
        "rates = fetch_in_subprocess(asked).rates[0].standard\n"
        "print(rates.input_usd_per_mtok, 'genai_prices' in sys.modules)\n"
    )

    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said.split() == ["0.15", "False"]


def test_child_that_takes_too_long_is_given_up():
    """Past its time the child is killed and the source is unavailable, with the time in the message."""
    with pytest.raises(SourceUnavailable, match=r"no answer within 0\.001 s"):
        fetch_in_subprocess([HAIKU], timeout_seconds=0.001)


def test_broken_library_is_said_in_a_sentence(tmp_path, monkeypatch):
    """When the catalogue cannot be imported, the last line of the child's complaint is passed on."""
    (tmp_path / "genai_prices.py").write_text("raise ImportError('half an installation')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(SourceUnavailable, match=r"ImportError: half an installation \(exit status 1 of "):
        fetch_in_subprocess([HAIKU])


def test_child_that_dies_silently_is_said_to(tmp_path, monkeypatch):
    """A child that ends without a word is told by its exit status."""
    (tmp_path / "genai_prices.py").write_text("import os\nos._exit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(SourceUnavailable, match=r"it said nothing \(exit status 9 of "):
        fetch_in_subprocess([HAIKU])


@pytest.mark.parametrize("noise", ["hello", '{"rates": [{}], "faults": []}', "[]"])
def test_answer_that_is_not_one_is_refused(noise, tmp_path, monkeypatch):
    """What is not the child's JSON is a broken contract that shows what was found."""
    (tmp_path / "genai_prices.py").write_text(f"import os\nos.write(1, {noise.encode()!r})\nos._exit(0)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(SourceContractError) as raised:
        fetch_in_subprocess([HAIKU])

    assert repr(noise) in str(raised.value)


def test_python_that_is_gone_is_said_to(monkeypatch):
    """After an upgrade took the interpreter away, the message names the file that does not start."""
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")

    with pytest.raises(SourceUnavailable, match=r"'/nonexistent/python' did not start \(No such file"):
        fetch_in_subprocess([HAIKU])


PARENT = """
import os, subprocess, sys, time
command = [sys.executable, "-P", "-m", "evenwatt.readings.api_prices", str(os.getpid())]
print(subprocess.Popen(command).pid, flush=True)
time.sleep(300)
"""


def test_a_child_that_hangs_ends_with_its_parent():
    """A child that waits for ever is killed by the kernel when its parent is killed."""
    asked, ask = os.pipe()
    os.write(ask, b"[")  # the beginning of requests that never end
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=asked, stdout=subprocess.PIPE) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        while unread_bytes(asked):  # until the child waits for more
            time.sleep(0.01)
        parent.kill()
    try:
        child.wait(timeout=10)
        is_gone = True
    except psutil.TimeoutExpired:
        is_gone = child.status() == psutil.STATUS_ZOMBIE  # dead, where nobody buries orphans
        child.kill()
    finally:
        os.close(asked)
        os.close(ask)

    assert is_gone


def unread_bytes(descriptor: int) -> int:
    """Return how much of what was written into a pipe nobody has read."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_child_without_its_parent_does_nothing():
    """A child whose parent has died before it could be tied to it ends at once."""
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "evenwatt.readings.api_prices", "1"],
        input="[]",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "its parent, PID 1, is gone" in ended.stderr
