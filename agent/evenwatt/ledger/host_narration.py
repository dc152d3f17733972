"""The sentences of events about host power (see `narration`)."""

from evenwatt.ledger.host_cursor import HostCursor, MeterCheck
from evenwatt.ledger.meters import Flaw, Metered
from evenwatt.ledger.narration import Told
from evenwatt.model import HostReading

__all__ = ["counter_flaw", "gpus_unknown", "meter_check", "source", "stands_still"]


def source(reading: HostReading) -> Told:
    """Tell where host energy comes from, from now on."""
    reason = f": {reading.reason}" if reading.reason else ""
    return "host_power_source", reading.source, f"host energy now comes from {reading.meter}{reason}"


def counter_flaw(reading: HostReading, found: Metered) -> Told:
    """Tell what kept an energy counter from being counted as it is."""
    if found.flaw is Flaw.RESET:
        text = "began anew; its new value is booked, what it counted after the last reading is not known"
        return "host_counter_reset", reading.source, f"the counter of {reading.meter} {text}"
    if found.flaw is Flaw.WENT_ROUND:
        text = (
            f"{reading.meter} was not read for so long that its counter may have gone round more than once; "
            "the energy of that time is not known and not booked"
        )
        return "host_energy_unknown", reading.source, text
    text = (
        f"the counter of {reading.meter} jumped by {found.joules:,.0f} J, more than the machine can draw in "
        "that time; the jump is not booked. Check the unit (Wh or kWh), and that it meters this machine alone"
    )
    return "host_energy_refused", reading.source, text


def meter_check(cursor: HostCursor, check: MeterCheck) -> Told:
    """Tell that a meter says less than the GPUs behind it draw, or no longer does.

    Args:
        cursor: After the comparison.
        check: What was compared.
    """
    if not cursor.check.is_parted:
        text = f"{cursor.meter} says more than its GPUs draw again; host energy is booked"
        return "host_meter_fits", cursor.source, text
    meter, gpus = (joules / check.seconds for joules in (check.meter_joules, check.gpu_joules))
    than = "any server draws" if gpus <= meter else f"its GPUs draw ({gpus:,.0f} W)"
    text = (
        f"{cursor.meter} says {meter:,.1f} W, less than {than}: its unit (W or kW) or its scope "
        "(host_power.covers) is wrong. Until that is mended no host energy is booked"
    )
    return "host_meter_below_gpus", cursor.source, text


def stands_still(cursor: HostCursor) -> Told:
    """Tell that a meter is frozen, or moves again."""
    if not cursor.is_frozen:
        return "host_meter_moves", cursor.source, f"{cursor.meter} moves again"
    text = (
        f"{cursor.meter} stands still though the machine draws power; no host energy is booked meanwhile. "
        "See whether the meter still gets its measurements"
    )
    return "host_meter_frozen", cursor.source, text


def gpus_unknown(cursor: HostCursor) -> Told:
    """Tell that the GPUs' part of a meter is not known, or is known again."""
    if cursor.has_unknown_gpus:
        text = (
            f"what the GPUs behind {cursor.meter} draw is not known; all that it says is booked as host "
            "energy until it is, and GPU energy that is counted later is taken out again"
        )
        return "host_energy_with_gpus", cursor.source, text
    return "host_energy_apart", cursor.source, f"the GPUs are taken out of what {cursor.meter} says again"
