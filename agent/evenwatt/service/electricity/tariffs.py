"""From the settings to what the site pays for electricity: dated prices, bands, holidays, a feed."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from functools import lru_cache

from evenwatt import clock
from evenwatt.config import ElectricityPrice, Settings, core_band
from evenwatt.economics.bands import BandTariff
from evenwatt.economics.tariffs import DatedPrice, FeedPrices, Tariff
from evenwatt.errors import SourceContractError, SourceError, SourceUnavailable
from evenwatt.readings.holiday_dates import holiday_dates

__all__ = ["day_utc_seconds", "site_holidays", "site_tariff"]

_YEARS_AROUND = 10


def site_tariff(settings: Settings, feed: FeedPrices | None = None) -> Tariff:
    """Return what the site pays for electricity.

    Where bands ask for a country's holidays, the first call of a process waits for them for a second.

    Args:
        settings: As configured.
        feed: What the feed of the settings gave; ignored where they have none.

    Raises:
        SourceError: The holidays are not known.
    """
    electricity = settings.electricity
    return Tariff(
        prices=tuple(_prices(settings)),
        pue=electricity.pue,
        fees_per_kwh=sum(cost.per_kwh for cost in settings.other if cost.per_kwh is not None),
        feed=feed if electricity.feed is not None else None,
    )


def site_holidays(settings: Settings) -> frozenset[date]:
    """Return the public holidays of the site, some years back and ahead; nothing where none are configured.

    Raises:
        SourceError: They are not known, or could not be looked up; the message names the key.
    """
    holidays = settings.electricity.holidays
    if holidays is None:
        return frozenset()
    own = frozenset(holidays.dates or ())
    if holidays.country is None:
        return own
    year = datetime.fromtimestamp(clock.utc_seconds(), UTC).year
    try:
        public = _looked_up(holidays.country, holidays.subdivision, year)
    except SourceContractError as error:
        raise SourceContractError(f"electricity.holidays: {error}") from error
    except SourceError as error:
        raise SourceUnavailable(f"electricity.holidays: {error}") from error
    return public | own


def day_utc_seconds(settings: Settings, day: date) -> float:
    """Return the moment at which a day begins at the site."""
    return datetime.combine(day, time(), tzinfo=settings.timezone).timestamp()


@lru_cache(maxsize=4)
def _looked_up(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    return holiday_dates(country, subdivision, range(year - _YEARS_AROUND, year + _YEARS_AROUND + 1))


def _prices(settings: Settings) -> Iterator[DatedPrice | BandTariff]:
    electricity = settings.electricity
    for price in electricity.prices:
        yield _price(settings, price)
    is_one_price = not electricity.prices and electricity.feed is None
    if is_one_price or "price_per_kwh" in electricity.written:
        yield DatedPrice(price_per_kwh=electricity.price_per_kwh)


def _price(settings: Settings, price: ElectricityPrice) -> DatedPrice | BandTariff:
    begin = float("-inf") if price.valid_from is None else day_utc_seconds(settings, price.valid_from)
    if not price.bands and price.price_per_kwh is not None:
        return DatedPrice(price_per_kwh=price.price_per_kwh, valid_from_utc_seconds=begin)
    return BandTariff(
        bands=tuple(core_band(band) for band in price.bands),
        zone=settings.timezone,
        default_price_per_kwh=price.price_per_kwh,
        holidays=site_holidays(settings),
        valid_from_utc_seconds=begin,
    )
