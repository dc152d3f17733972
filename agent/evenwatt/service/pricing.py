"""From settings to the price book."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from evenwatt.config import HardwarePart, Settings, assumptions
from evenwatt.economics.cost import ModelRule, PriceBook
from evenwatt.economics.ownership import Hardware, Owned, OwnedParts, Rented, Sunk, rent_per_hour_of_month
from evenwatt.economics.running import HourlyLabour, Labour, MonthlyCost, SalariedLabour, SetupCost
from evenwatt.economics.tariffs import FeedPrices
from evenwatt.ledger.cursors import MACHINE_KEY, gpu_key, stored_machine
from evenwatt.model import Assumption
from evenwatt.readings.hardware_presets import preset_for
from evenwatt.service.api_prices.quotes import reference_price, usd_rate_of
from evenwatt.service.electricity.tariffs import day_utc_seconds, site_tariff
from evenwatt.sinks.history import PriceRow

__all__ = ["all_assumptions", "price_book", "stored_gpu_names"]


def price_book(
    settings: Settings,
    prices: Iterable[PriceRow],
    gpu_names: Sequence[str],
    *,
    electricity: FeedPrices | None = None,
) -> PriceBook:
    """Return all prices of the site, in its currency.

    Args:
        settings: As configured.
        prices: API prices as accepted, in USD.
        gpu_names: Of all GPUs, for the hardware price where none is written.
        electricity: What the electricity feed gave, where there is one.

    Raises:
        SourceError: The public holidays that a tariff asks for are not known.
    """
    names = {reference.name for reference in settings.references}
    return PriceBook(
        hardware=_hardware(settings, gpu_names),
        tariff=site_tariff(settings, electricity),
        labour=_labour(settings),
        setup=_setup(settings),
        other=tuple(
            MonthlyCost(name=cost.name, per_month=cost.per_month)
            for cost in settings.other
            if cost.per_month is not None
        ),
        references=tuple(
            reference_price(row, usd_rate_of(settings)) for row in prices if row.reference in names
        ),
        rules=tuple(
            ModelRule(pattern=pattern, references=rule.references, token_ratio=rule.token_ratio)
            for pattern, rule in settings.models.items()
        ),
        month_hours=settings.month_hours,
        has_cache_write_surcharge=settings.prices.cache_write_surcharge,
    )


def stored_gpu_names(cursors: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the machine's GPUs, as the agent last listed them."""
    machine = cursors.get(MACHINE_KEY)
    if machine is None:
        return ()
    gpus = (cursors.get(gpu_key(uuid)) for uuid in stored_machine(machine).gpu_uuids)
    return tuple(str(gpu["name"]) for gpu in gpus if gpu)


def all_assumptions(settings: Settings, gpu_names: Sequence[str]) -> tuple[Assumption, ...]:
    """Return what is taken for granted because nobody wrote it; of the hardware, by the GPUs there are."""
    return tuple(
        replace(assumption, text=_assumed_hardware(gpu_names))
        if assumption.setting == "hardware"
        else assumption
        for assumption in assumptions(settings)
    )


def _assumed_hardware(gpu_names: Sequence[str]) -> str:
    presets = {name: preset_for(name) for name in gpu_names}
    unknown = sorted(name for name, preset in presets.items() if preset is None)
    if unknown or not gpu_names:
        what = f"no price is known for {', '.join(unknown)}" if unknown else "there is no GPU to go by"
        return f"The hardware cost is not known ({what}); full cost per Mtok is absent until it is written."
    total = sum(preset.purchase_price_usd for name in gpu_names if (preset := presets[name]))
    return f"The hardware is assumed to have cost {total:,.0f} USD for the GPUs alone, by their names."


def _hardware(settings: Settings, gpu_names: Sequence[str]) -> Hardware | None:
    written = settings.hardware
    if written.mode == "sunk":
        return Sunk()
    if written.parts:
        return OwnedParts(parts=tuple(_part(settings, part) for part in written.parts))
    return _owned(settings, gpu_names) if written.mode == "owned" else _rented(settings)


def _rented(settings: Settings) -> Rented | None:
    written = settings.hardware
    rent = written.rent_per_hour
    if rent is None and written.rent_per_month is not None:
        rent = rent_per_hour_of_month(written.rent_per_month, settings.month_hours)
    return (
        None if rent is None else Rented(rent_per_hour=rent, is_active_only=written.mode == "rented_active")
    )


def _owned(settings: Settings, gpu_names: Sequence[str]) -> Owned | None:
    hardware = settings.hardware
    price, lifetime = hardware.purchase_price, hardware.lifetime_years
    if price is None:
        presets = [preset_for(name) for name in gpu_names]
        known = [preset for preset in presets if preset is not None]
        if not known or len(known) < len(presets):
            return None
        price = sum(preset.purchase_price_usd for preset in known) * usd_rate_of(settings)
        if "lifetime_years" not in hardware.written:
            lifetime = known[0].lifetime_years
    return Owned(
        purchase_price=price,
        lifetime_years=lifetime,
        residual_value=hardware.residual_value,
        maintenance_per_year=hardware.maintenance_per_year,
        purchased_utc_seconds=_purchased(settings, hardware.purchased),
    )


def _part(settings: Settings, part: HardwarePart) -> Owned:
    return Owned(
        name=part.name,
        purchase_price=part.purchase_price,
        lifetime_years=part.lifetime_years,
        residual_value=part.residual_value,
        maintenance_per_year=part.maintenance_per_year,
        purchased_utc_seconds=_purchased(settings, part.purchased),
    )


def _purchased(settings: Settings, day: date | None) -> float | None:
    return None if day is None else day_utc_seconds(settings, day)


def _setup(settings: Settings) -> SetupCost | None:
    written = settings.setup
    if written is None:
        return None
    return SetupCost(
        cost=written.cost,
        spread_months=written.spread_months,
        begins_utc_seconds=day_utc_seconds(settings, written.begins),
    )


def _labour(settings: Settings) -> Labour | None:
    written = settings.labour
    if written is None:
        return None
    if written.fte is not None and written.salary_per_year is not None:
        return SalariedLabour(fte=written.fte, salary_per_year=written.salary_per_year)
    return HourlyLabour(
        hours_per_month=written.hours_per_month or 0.0, rate_per_hour=written.rate_per_hour or 0.0
    )
