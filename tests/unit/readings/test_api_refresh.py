"""Fetching the price catalogue from a server of our own, and what is kept of it."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.readings.api_catalogue import catalogue_version, fetched_catalogue
from evenwatt.readings.api_prices import RateRequest, fetch_in_subprocess, reference_rates
from evenwatt.readings.api_refresh import default_url, fetch_catalogue
from price_server import catalogue_of, serving

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LARGE = {"input_mtok": 1.5, "output_mtok": 6}


@pytest.fixture
def kept(tmp_path):
    """Where the catalogue is kept; its folder is not there yet."""
    return tmp_path / "new" / "api-prices.json"


def fetched(kept, content):
    """Fetch a catalogue that is served."""
    with serving(content) as url:
        return fetch_catalogue(url, at=NOW, keep=kept)


def test_what_was_fetched_is_kept_with_its_day(kept):
    """The catalogue can be read again from the file, and its prices say that they were fetched."""
    fetched(kept, catalogue_of(large=LARGE))
    rates = fetched_catalogue(kept).rates("acme", "large", NOW)

    assert (rates.standard.input_usd_per_mtok, rates.fetched_on) == (Decimal("1.5"), date(2026, 11, 20))
    assert json.loads(kept.read_text())["catalogue_version"] == catalogue_version()
    assert [path.name for path in kept.parent.iterdir()] == ["api-prices.json"]


def test_a_model_that_came_after_the_library_is_found_in_what_was_fetched(kept):
    """The bundled catalogue goes first; what it does not know is looked up in the fetched one."""
    fetched(kept, catalogue_of(large=LARGE))
    asked = [
        RateRequest(provider=provider, model=model, at=NOW)
        for provider, model in (("acme", "large"), ("anthropic", "claude-haiku-4-5"), ("acme", "small"))
    ]
    answer = fetch_in_subprocess(asked, fetched=kept)

    assert [rates.standard.input_usd_per_mtok for rates in answer.rates] == [Decimal("1.5"), Decimal(1)]
    assert "'small' of acme" in answer.faults[0]


def test_what_was_fetched_for_another_library_is_passed_over(kept):
    """A library that came since brought a catalogue of its own."""
    fetched(kept, catalogue_of(large=LARGE))
    document = json.loads(kept.read_text())
    kept.write_text(json.dumps({**document, "catalogue_version": "0.1"}))

    assert fetched_catalogue(kept) is None
    with pytest.raises(SourceContractError, match="no provider 'acme'"):
        reference_rates("acme", "large", NOW, fetched=kept)


@pytest.mark.parametrize("spoilt", ["", "[]", '{"catalogue_version": 1}'])
def test_a_spoilt_file_is_told(kept, spoilt):
    """What is kept and cannot be read is named, with what to do."""
    kept.parent.mkdir()
    kept.write_text(spoilt)
    if spoilt.startswith("{"):
        kept.write_text(json.dumps({"catalogue_version": catalogue_version()}))

    with pytest.raises(SourceContractError, match=r"api-prices\.json: .* fetch them again"):
        fetched_catalogue(kept)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>", "serves no JSON"),
        ([], "expected a list of providers"),
        ({"providers": []}, "expected a list of providers"),
        ([{"id": "acme"}], "not in the format of genai-prices"),
        (catalogue_of(large={"input_mtok": "dear"}), "not in the format of genai-prices"),
    ],
    ids=["no JSON", "nothing", "no list", "half a provider", "a price that is none"],
)
def test_what_is_no_catalogue_is_not_kept(kept, content, said):
    """Garbage in place of the catalogue is refused, and the file of before stays."""
    fetched(kept, catalogue_of(large=LARGE))
    before = kept.read_bytes()

    with pytest.raises(SourceContractError, match=said):
        fetched(kept, content)

    assert kept.read_bytes() == before


def test_an_address_that_does_not_answer_is_told(kept):
    """The address is named without its query, with the reason and what stays in use."""
    with serving(b"") as url:
        pass
    with pytest.raises(SourceUnavailable) as raised:
        fetch_catalogue(f"{url}?key=secret", at=NOW, keep=kept)

    assert f"{url} cannot be reached (Connection refused)" in str(raised.value)
    assert "Prices accepted before stay in use" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_an_answer_that_is_not_good_is_told(kept):
    """Another status than 200 is no catalogue."""
    with serving(b"gone", status=410) as url, pytest.raises(SourceUnavailable, match="answered HTTP 410"):
        fetch_catalogue(url, at=NOW, keep=kept)


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """Where a file stands in place of the folder, the message names the file and the user to be."""
    (tmp_path / "file").touch()
    with serving(catalogue_of(large=LARGE)) as url, pytest.raises(SourceUnavailable) as raised:
        fetch_catalogue(url, at=NOW, keep=tmp_path / "file" / "api-prices.json")

    assert "cannot be kept" in str(raised.value)
    assert "as the user that the agent runs as" in str(raised.value)


def test_the_default_address_is_the_librarys_own():
    """Where the catalogue is published is for its makers to say."""
    assert default_url().startswith("https://")
