"""The machine of a plan: what is written, what a preset says, and what is assumed and says so."""

from msgspec import Struct
from msgspec.structs import replace

from evenwatt.config import Settings, assumptions
from evenwatt.economics.cost import PriceBook
from evenwatt.economics.mixes import Mix
from evenwatt.economics.ownership import Hardware, Owned, OwnedParts, Rented, Sunk, owned_parts, written_off
from evenwatt.economics.planning import Machine, Power, mix_of_shares
from evenwatt.model import Assumption
from evenwatt.readings.hardware_presets import MachinePreset, machine_preset

__all__ = ["PlannedMachine", "planned_machine"]

_DEFAULT_PRESET = "home-card"
_ASSUMED_CAPACITY = 1_000.0
_NO_POWER = Power(idle_watts=0.0, full_watts=0.0)

_OPTIONS = {
    "electricity.price_per_kwh": "--price-per-kwh PRICE",
    "hardware.lifetime_years": "--lifetime-years YEARS",
    "references": "--reference PROVIDER:MODEL",
}
"""The options that make the assumptions of the whole file true; the others are of the agent alone."""


class PlannedMachine(Struct, frozen=True, kw_only=True):
    """A machine and where its numbers come from.

    Attributes:
        words: What it is, for a person.
        preset: The name of the preset that something was taken from.
        assumptions: What nobody wrote.
        notes: What else has to be known.
    """

    machine: Machine
    words: str
    preset: str | None
    assumptions: tuple[Assumption, ...]
    notes: tuple[str, ...]


def planned_machine(settings: Settings, book: PriceBook, utc_seconds: float) -> PlannedMachine:
    """Return the machine that the settings describe.

    Args:
        settings: As loaded; its preset, where there is one, is known.
        book: The prices that the settings say; its hardware is None where they say none.
        utc_seconds: When prices are read.
    """
    return _Choice(settings, book, utc_seconds).made()


class _Choice:
    """Decides key by key, and keeps what was assumed on the way."""

    def __init__(self, settings: Settings, book: PriceBook, utc_seconds: float) -> None:
        self._settings = settings
        self._book = book
        self._utc_seconds = utc_seconds
        self._assumptions: list[Assumption] = []
        self._notes: list[str] = []
        self._preset = self._chosen_preset()

    def made(self) -> PlannedMachine:
        """Return the machine with all that was assumed and noted."""
        hardware = self._hardware()
        power = self._power(hardware)
        capacity = self._capacity()
        mix = self._mix()
        of_settings = (a for a in assumptions(self._settings) if self._matters(a, power))
        return PlannedMachine(
            machine=Machine(
                book=replace(self._book, hardware=hardware),
                utc_seconds=self._utc_seconds,
                capacity_tokens_per_second=capacity,
                mix=mix,
                power=power,
            ),
            words=_in_words(hardware, self._preset, self._settings.currency),
            preset=None if self._preset is None else self._preset.name,
            assumptions=(*self._assumptions, *map(_with_option, of_settings)),
            notes=tuple(self._notes),
        )

    def _chosen_preset(self) -> MachinePreset | None:
        plan = self._settings.plan
        if plan.preset is not None:
            return machine_preset(plan.preset)
        if self._book.hardware is not None:
            return None
        preset = machine_preset(_DEFAULT_PRESET)
        self._assume(
            "hardware",
            f"The machine is assumed: {preset.about} ({preset.name}).",
            "--preset NAME, --purchase-price PRICE or --rent-per-hour PRICE",
        )
        return preset

    def _hardware(self) -> Hardware:
        written = self._book.hardware
        if written is not None:
            return self._in_life(written)
        preset = self._preset
        assert preset is not None  # noqa: S101 -- chosen where no hardware is written
        rate = 1.0 if self._settings.usd_rate is None else self._settings.usd_rate.rate
        self._notes.append(f"Preset {preset.name}, {preset.dated}: {preset.source}.")
        if preset.rent_usd_per_hour is not None:
            return Rented(rent_per_hour=preset.rent_usd_per_hour * rate)
        keys = self._settings.hardware
        if preset.kind == "card":
            self._assume(
                "hardware",
                "The machine is assumed to be the card alone: the rest of a machine costs and draws more.",
                "--purchase-price PRICE --idle-watts WATTS --full-watts WATTS",
            )
        return Owned(
            purchase_price=(preset.purchase_price_usd or 0.0) * rate,
            lifetime_years=self._written("hardware", "lifetime_years", preset.lifetime_years),
            maintenance_per_year=self._written(
                "hardware", "maintenance_per_year", preset.maintenance_per_year
            ),
            residual_value=keys.residual_value,
        )

    def _written(self, section: str, key: str, otherwise: float) -> float:
        values = getattr(self._settings, section)
        value: float = getattr(values, key)
        return value if key in values.written else otherwise

    def _in_life(self, hardware: Hardware) -> Hardware:
        """Return the hardware as it counts for a plan: also before the day on which it is to be bought."""
        for part in written_off(hardware, self._utc_seconds):
            self._notes.append(f"The {part.name} is past its lifetime and costs nothing any more.")
        if isinstance(hardware, OwnedParts):
            return replace(hardware, parts=tuple(map(self._begun, hardware.parts)))
        return self._begun(hardware) if isinstance(hardware, Owned) else hardware

    def _begun(self, part: Owned) -> Owned:
        is_to_come = (part.purchased_utc_seconds or 0.0) > self._utc_seconds
        return replace(part, purchased_utc_seconds=None) if is_to_come else part

    def _power(self, hardware: Hardware) -> Power | None:
        plan, preset = self._settings.plan, self._preset
        idle, full = plan.idle_watts, plan.full_watts
        if preset is not None:
            idle = preset.idle_watts if idle is None else idle
            full = preset.full_watts if full is None else full
        if idle is None and full is None:
            return self._power_of_nothing_known(hardware)
        if full is None:
            full = idle
            self._assume("plan.full_watts", "Load is assumed to draw nothing more.", "--full-watts WATTS")
        elif idle is None:
            idle = full
            self._assume(
                "plan.idle_watts",
                f"An idle machine is assumed to draw what a busy one does, {full:g} W: break-even looks "
                "further away than it is, not nearer.",
                "--idle-watts WATTS",
            )
        return Power(idle_watts=min(idle or 0.0, full or 0.0), full_watts=full or 0.0)

    def _power_of_nothing_known(self, hardware: Hardware) -> Power | None:
        if isinstance(hardware, Rented):
            self._assume(
                "plan.full_watts",
                "The electricity is assumed to be in the rent.",
                "--idle-watts WATTS --full-watts WATTS",
            )
            return _NO_POWER
        self._assume(
            "plan.full_watts",
            "What the machine draws is not known: no cost here has electricity in it.",
            "--idle-watts WATTS --full-watts WATTS",
        )
        return None

    def _capacity(self) -> float:
        written = self._settings.plan.capacity_tokens_per_second
        engines = [e.capacity_tokens_per_second for e in self._settings.engines or ()]
        if written is not None:
            return written
        if len(engines) == 1 and engines[0] is not None:
            self._notes.append("The capacity is that of the one engine in the configuration.")
            return engines[0]
        known = None if self._preset is None else self._preset.capacity_tokens_per_second
        if known is None:
            text = (
                f"The capacity is assumed: {_ASSUMED_CAPACITY:,.0f} tokens a second, computed input and "
                "output together. It depends on the model; every cost per Mtok here goes with it."
            )
        else:
            text = (
                f"The capacity of {known:,.6g} tokens a second is that of the preset, for its model and mix."
            )
        self._assume("plan.capacity_tokens_per_second", text, "--capacity TOKENS_PER_SECOND")
        return _ASSUMED_CAPACITY if known is None else known

    def _mix(self) -> Mix:
        plan = self._settings.plan
        task = plan.tokens_per_task
        if task is not None:
            return mix_of_shares(
                task.input / (task.input + task.output), task.cached / task.input if task.input else 0.0
            )
        input_share = plan.input_share
        if "input_share" not in plan.written:
            if self._preset is not None and self._preset.input_share is not None:
                input_share = self._preset.input_share
            self._assume(
                "plan.input_share",
                f"The mix is assumed: {input_share:.0%} of all tokens are input.",
                "--mix INPUT:OUTPUT",
            )
        if "cached_share" not in plan.written and input_share:
            self._assume(
                "plan.cached_share", "No input is assumed to come from the cache.", "--cached-share SHARE"
            )
        return mix_of_shares(input_share, plan.cached_share)

    def _matters(self, assumption: Assumption, power: Power | None) -> bool:
        if assumption.setting == "electricity.price_per_kwh":
            return power is not None and power.full_watts > 0
        return assumption.setting in _OPTIONS

    def _assume(self, setting: str, text: str, option: str) -> None:
        self._assumptions.append(Assumption(setting=setting, text=text, line_to_write=option))


def _with_option(assumption: Assumption) -> Assumption:
    line = f"{_OPTIONS[assumption.setting]}, or in the file {assumption.line_to_write}"
    return replace(assumption, line_to_write=line)


def _in_words(hardware: Hardware, preset: MachinePreset | None, currency: str) -> str:
    of_preset = "" if preset is None else f"{preset.about}, "
    if isinstance(hardware, Sunk):
        return f"{of_preset}paid for already"
    if isinstance(hardware, Rented):
        return f"{of_preset}{hardware.rent_per_hour:,.4g} {currency} an hour"
    parts = owned_parts(hardware)
    return f"{of_preset}{' and '.join(_bought_in_words(part, currency) for part in parts)}"


def _bought_in_words(part: Owned, currency: str) -> str:
    return f"{part.purchase_price:,.0f} {currency} over {part.lifetime_years:g} years"
