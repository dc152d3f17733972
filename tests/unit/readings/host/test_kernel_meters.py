"""RAPL and hwmon on real file trees, with what goes wrong in them."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from evenwatt.errors import SourceContractError, SourceUnavailable
from evenwatt.model import Coverage
from evenwatt.readings.host.hwmon import HwmonMeter
from evenwatt.readings.host.rapl import RaplMeter

DEADLINE = 1.0


def zone(sysfs, name, label, energy=1_000_000, *, counted=262_143_328_850, **files):
    """Write one zone of the powercap tree and return its folder."""
    folder = sysfs / "class" / "powercap" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{label}\n")
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{counted}\n")
    for file, value in files.items():
        (folder / file).write_text(f"{value}\n")
    return folder


def chip(sysfs, number, name, **files):
    """Write one chip of the hwmon tree and return its folder."""
    folder = sysfs / "class" / "hwmon" / f"hwmon{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    for file, value in files.items():
        (folder / file).write_text(f"{value}\n")
    return folder


def rapl_joules(sysfs):
    """Return what RAPL counts, by zone."""
    found = RaplMeter(sysfs).measure(DEADLINE)
    return {counter.name: counter.energy_joules for counter in found.counters}


# --- RAPL --------------------------------------------------------------------------------------------------


def test_packages_and_memory_of_all_sockets_are_counted(tmp_path):
    """Cores are inside their package and left out; memory is beside it and counted."""
    for socket in (0, 1):
        zone(tmp_path, f"intel-rapl:{socket}", f"package-{socket}", 5_000_000 + socket)
        zone(tmp_path, f"intel-rapl:{socket}:0", "core", 3_000_000)
        zone(tmp_path, f"intel-rapl:{socket}:1", "dram", 700_000)

    assert rapl_joules(tmp_path) == pytest.approx(
        {"package-0": 5.0, "package-0 dram": 0.7, "package-1": 5.000001, "package-1 dram": 0.7}
    )


def test_the_memory_mapped_twin_is_not_counted_again(tmp_path):
    """`intel-rapl-mmio` repeats the package."""
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5_000_000)

    assert rapl_joules(tmp_path) == {"package-0": 5.0}


def test_psys_is_not_added_to_what_it_contains(tmp_path):
    """The platform's counter has the packages in it; alone it is taken."""
    zone(tmp_path, "intel-rapl:1", "psys", 9_000_000)
    alone = rapl_joules(tmp_path)
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)

    assert alone == {"psys": 9.0}
    assert rapl_joules(tmp_path) == {"package-0": 5.0}


def test_amd_has_packages_without_memory(tmp_path):
    """Zen shows its packages in the same tree, under Intel's name."""
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000, counted=65_532_610_987)
    zone(tmp_path, "intel-rapl:0:0", "core", 1_000_000)
    (counter,) = RaplMeter(tmp_path).measure(DEADLINE).counters

    assert (counter.name, counter.range_joules) == ("package-0", pytest.approx(65_532.610987))


def test_the_range_and_the_limit_are_told(tmp_path):
    """Where a counter goes round, and how soon it can: twice the sustained limit is above any turbo."""
    zone(tmp_path, "intel-rapl:0", "package-0", constraint_0_max_power_uw=125_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", constraint_0_max_power_uw=0)
    first, second = RaplMeter(tmp_path).measure(DEADLINE).counters

    assert (first.range_joules, first.most_watts) == (pytest.approx(262_143.32885), 250.0)
    assert second.most_watts == 1_000.0


def test_it_covers_processors_and_begins_with_the_boot(tmp_path):
    """No GPU is in it, and its counters are gone with a reboot."""
    meter = RaplMeter(tmp_path)

    assert (meter.covers, meter.is_of_boot, meter.sample_seconds) == (Coverage.CPU, True, None)


def test_a_machine_without_zones_is_told_apart(tmp_path):
    """A virtual machine has no RAPL, and a sentence says so."""
    with pytest.raises(SourceUnavailable, match="virtual machines have none"):
        RaplMeter(tmp_path).measure(DEADLINE)


def test_counters_that_are_all_zero_count_nothing(tmp_path):
    """Some virtual machines show the tree and never fill it."""
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    with pytest.raises(SourceContractError, match="all RAPL counters are 0"):
        RaplMeter(tmp_path).measure(DEADLINE)


@pytest.mark.parametrize("text", ["-5", "", "12.5", "0x10", "many\x1b[31m"])
def test_what_is_no_count_is_refused(tmp_path, text):
    """A negative or broken value is told with the file, and never counted."""
    folder = zone(tmp_path, "intel-rapl:0", "package-0")
    (folder / "energy_uj").write_text(text)
    with pytest.raises(SourceContractError, match=r"energy_uj: found .*, expected microjoules"):
        RaplMeter(tmp_path).measure(DEADLINE)


READ_AS_NOBODY = """
import codecs, os, sys
from pathlib import Path
from evenwatt.errors import SourceUnavailable
from evenwatt.readings.host.rapl import RaplMeter
codecs.lookup("ascii")  # what is imported later, nobody may not be able to read
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    RaplMeter(Path(sys.argv[1])).measure(1.0)
except SourceUnavailable as error:
    print(error)
"""


def test_a_counter_for_root_alone_says_how_to_mend_it():
    """`energy_uj` is root's since 2020: the fault has the line that gives it to the agent's group."""
    # Not tmp_path: only its owner may enter that, and the meter is to get as far as the file.
    with TemporaryDirectory() as folder:
        sysfs = Path(folder)
        sysfs.chmod(0o755)
        (zone(sysfs, "intel-rapl:0", "package-0") / "energy_uj").chmod(0o000)
        command = [sys.executable, "-c", READ_AS_NOBODY, folder]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
    told = child.stdout
    assert child.returncode == 0, child.stderr

    assert "energy_uj: may not be read (Permission denied)" in told
    assert "/etc/tmpfiles.d/evenwatt.conf" in told
    assert "CAP_DAC_READ_SEARCH" in told


def test_a_zone_that_is_gone_is_looked_for_anew(tmp_path):
    """The module is loaded again under other names: the meter finds what is there now."""
    folder = zone(tmp_path, "intel-rapl:0", "package-0")
    meter = RaplMeter(tmp_path)
    meter.measure(DEADLINE)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(SourceUnavailable, match="no RAPL zone"):
        meter.measure(DEADLINE)
    zone(tmp_path, "intel-rapl:1", "package-0", 9_000_000)

    assert meter.measure(DEADLINE).counters[0].energy_joules == 9.0


# --- hwmon -------------------------------------------------------------------------------------------------


def test_the_board_sensor_is_known_by_its_name(tmp_path):
    """Numbers change between boots; a GPU's own sensor is not the machine."""
    chip(tmp_path, 0, "amdgpu", power1_average=90_000_000)
    chip(tmp_path, 3, "power_meter", power1_average=312_500_000)
    found = HwmonMeter(tmp_path).measure(DEADLINE)

    assert (found.power_watts, found.counters) == (312.5, ())


def test_an_instantaneous_sensor_serves_too(tmp_path):
    """Where there is no average, the present value is taken, also below `device`."""
    folder = chip(tmp_path, 0, "power_meter")
    (folder / "device").mkdir()
    (folder / "device" / "power1_input").write_text("100000000\n")

    assert HwmonMeter(tmp_path).measure(DEADLINE).power_watts == 100.0


def test_another_chip_can_be_named(tmp_path):
    """A Jetson's INA3221 is taken where the owner says that it measures the whole board."""
    chip(tmp_path, 0, "ina3221", power1_input=15_000_000)
    with pytest.raises(SourceUnavailable, match="no power sensor of the whole machine"):
        HwmonMeter(tmp_path).measure(DEADLINE)

    assert HwmonMeter(tmp_path, chip="ina3221").measure(DEADLINE).power_watts == 15.0


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("-4000000", SourceContractError, "says -4.0 W: power flows back"),
        ("999000000000", SourceContractError, "says 999,000 W, expected at most 20,000"),
        ("0", SourceUnavailable, "says 0 W, which no running machine draws"),
        ("N/A", SourceContractError, "found 'N/A', expected microwatts"),
    ],
)
def test_what_no_board_says_is_refused(tmp_path, text, kind, words):
    """A negative, huge, empty or broken value is told with its file."""
    chip(tmp_path, 0, "power_meter", power1_average=text)
    with pytest.raises(kind, match=words):
        HwmonMeter(tmp_path).measure(DEADLINE)


def test_a_sensor_that_gives_no_value_now_is_down(tmp_path):
    """A driver that answers with an error is a passing fault (here: a folder in the file's place)."""
    folder = chip(tmp_path, 0, "power_meter")
    (folder / "power1_average").mkdir()
    with pytest.raises(SourceUnavailable, match="gives no value now"):
        HwmonMeter(tmp_path).measure(DEADLINE)
