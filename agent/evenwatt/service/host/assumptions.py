"""What is left out of the energy of a machine because nobody wrote where it is measured."""

from evenwatt.config.host import HostPower
from evenwatt.model import Assumption, Coverage

__all__ = ["host_assumptions"]


def host_assumptions(host_power: HostPower, covers: Coverage | None) -> tuple[Assumption, ...]:
    """Return what is taken for granted of host power.

    Args:
        host_power: As configured; what names a source assumes nothing.
        covers: What the source that was found measures; None: none was found.
    """
    if host_power.source != "auto":
        return ()
    is_rest_told = bool(host_power.written & {"rest_watts", "supply_efficiency"})
    if covers is None:
        text = "Energy is that of the GPUs alone: nothing here tells what the machine draws beside them."
        line = "host_power: {source: fixed, watts: WATTS}"
    elif covers is Coverage.CPU and not is_rest_told:
        text = (
            "Beside the GPUs, only processors and memory are measured: board, fans, disks and the losses "
            "of the power supply are assumed to be nothing."
        )
        line = "host_power: {source: rapl, rest_watts: WATTS, supply_efficiency: 0.92}"
    else:
        return ()
    return (Assumption(setting="host_power", text=text, line_to_write=line),)
