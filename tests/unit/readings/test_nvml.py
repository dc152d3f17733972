"""NvmlSource through the real nvidia-ml-py, on the C library of tests/fakes/nvml."""

import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pynvml
import pytest

from evenwatt.errors import SourceUnavailable
from evenwatt.readings.nvml import SAMPLES_KEPT, NvmlSource, nvml_available
from fake_nvml import FakeGpu, FakeInstance, Scenario, boot_seconds, build_library, load_library

NOT_SUPPORTED = 3
DRIVER_NOT_LOADED = 9
TIMEOUT = 10
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
LIB_RM_VERSION_MISMATCH = 18
UNKNOWN = 999

ENERGY = "nvmlDeviceGetTotalEnergyConsumption"
POWER = "nvmlDeviceGetPowerUsage"


@pytest.fixture(scope="session")
def library_path(tmp_path_factory):
    """The library as a file."""
    return build_library(tmp_path_factory.getbasetemp() / "nvml")


@pytest.fixture(scope="session")
def library(library_path):
    """The library inside this process."""
    return load_library(library_path)


@pytest.fixture
def scenario(library, tmp_path, monkeypatch):
    """Two GPUs as the whole hardware of this process."""
    path = tmp_path / "nvml.txt"
    monkeypatch.setenv("EVENWATT_FAKE_NVML", str(path))
    return Scenario(path, FakeGpu("GPU-one"), FakeGpu("GPU-two"))


@pytest.fixture
def source(scenario):
    """A source that tries a lost GPU again at once."""
    source = NvmlSource(retry_seconds=0)
    yield source
    source.close()


def read_first(source):
    """Return what the first GPU says."""
    return source.read().gpus[0]


def unavailable(source):
    """Return why the source gives no reading."""
    with pytest.raises(SourceUnavailable) as raised:
        source.read()
    return str(raised.value)


def test_values_come_in_our_units(scenario, source):
    """Watts, ratios, bytes and degrees stand for the driver's mW, percents, bytes and degrees."""
    scenario.gpus[0] = FakeGpu(
        "GPU-one",
        name="NVIDIA L4",
        watts=62.5,
        limit_watts=72.0,
        utilization_percent=87,
        memory_bytes=(3_000_000_000, 24_000_000_000),
        temperature_celsius=55,
    )
    scenario.write()

    reading = source.read()
    gpu = reading.gpus[0]

    assert reading.driver_version == "570.86.10"
    assert (gpu.uuid, gpu.index, gpu.name) == ("GPU-one", 0, "NVIDIA L4")
    assert gpu.power_watts == pytest.approx(62.5)
    assert gpu.power_limit_watts == pytest.approx(72.0)
    assert gpu.utilization_ratio == pytest.approx(0.87)
    assert (gpu.memory_used_bytes, gpu.memory_bytes) == (3_000_000_000, 24_000_000_000)
    assert gpu.temperature_celsius == 55.0
    assert gpu.processes == ()
    assert gpu.fault is None


def test_energy_is_the_counter_at_the_moment_of_the_reading(scenario, source):
    """The counter's joules belong to the GPU's own moment, however slow its other calls are."""
    scenario.gpus[0].draw(400, swing_watts=200, period_seconds=3)
    scenario.gpus[0].delay("nvmlDeviceGetMemoryInfo", 0.2)
    scenario.write()
    source.read()

    before = boot_seconds()
    gpu = read_first(source)

    truth = scenario.gpus[0].energy_joules
    assert gpu.has_energy_counter is True
    assert truth(before) - 0.001 <= gpu.energy_joules <= truth(gpu.moment.boot_seconds)
    assert truth(gpu.moment.boot_seconds) - gpu.energy_joules < 600 * 0.1


def test_samples_since_the_last_reading_come_with_the_next(source):
    """A reading holds the power of each sample since the one before, oldest first, and one of its own."""
    source.read()
    source.sample()
    source.sample()

    begun = boot_seconds()
    samples = read_first(source).power_samples

    assert [sample.power_watts for sample in samples] == pytest.approx([100.0] * 3)
    assert samples[0].boot_seconds < samples[1].boot_seconds < begun < samples[2].boot_seconds
    assert len(read_first(source).power_samples) == 1


def test_utilization_is_the_mean_of_the_samples(scenario, source):
    """A GPU that was busy in one of two samples was busy half of the time."""
    source.read()
    scenario.gpus[0].utilization_percent = 100
    scenario.write()
    source.sample()
    scenario.gpus[0].utilization_percent = 0
    scenario.write()

    assert read_first(source).utilization_ratio == pytest.approx(0.5)


def test_samples_that_nobody_reads_are_bounded(source):
    """Without readings the oldest samples are given up, never the memory of the machine."""
    source.read()
    for _ in range(SAMPLES_KEPT + 100):
        source.sample()

    assert len(read_first(source).power_samples) == SAMPLES_KEPT


@pytest.mark.parametrize(
    ("lacking", "value"),
    [
        ("energy_since", "energy_joules"),
        ("limit_watts", "power_limit_watts"),
        ("utilization_percent", "utilization_ratio"),
        ("memory_bytes", "memory_bytes"),
        ("temperature_celsius", "temperature_celsius"),
        ("processes", "processes"),
    ],
)
def test_a_value_that_a_gpu_lacks_is_none_and_the_others_stay(scenario, source, lacking, value):
    """NOT_SUPPORTED costs that one value of that one GPU."""
    setattr(scenario.gpus[0], lacking, None)
    scenario.write()

    poor, rich = source.read().gpus

    assert getattr(poor, value) is None
    assert poor.power_watts == pytest.approx(100.0)
    assert poor.fault is None
    assert getattr(rich, value) is not None


@pytest.mark.parametrize("code", [NOT_SUPPORTED, FUNCTION_NOT_FOUND])
def test_a_call_that_is_lacking_is_made_once(library, scenario, source, code):
    """What the GPU or the driver does not have is not asked for again until NVML is initialised anew."""
    symbol = "nvmlDeviceGetEnforcedPowerLimit"
    scenario.gpus = [FakeGpu("GPU-one")]
    scenario.gpus[0].fault(symbol, code)
    scenario.write()
    before = library.fake_nvml_calls(symbol.encode())

    for _ in range(3):
        assert read_first(source).power_limit_watts is None

    assert library.fake_nvml_calls(symbol.encode()) == before + 1


def test_a_gpu_without_energy_counter_says_so_and_gives_power(scenario, source):
    """Where there is no counter, power samples are there to be integrated."""
    scenario.gpus[0] = FakeGpu("GPU-one", watts=250, energy_since=None)
    scenario.write()

    gpu = read_first(source)

    assert gpu.has_energy_counter is False
    assert gpu.energy_joules is None
    assert [sample.power_watts for sample in gpu.power_samples] == [250.0]


@pytest.mark.parametrize("code", [UNKNOWN, TIMEOUT, NOT_SUPPORTED])
def test_a_counter_that_fails_in_passing_stays_a_counter(scenario, source, code):
    """Once read, a counter is only missing for a while: power is not integrated in its place."""
    source.read()
    scenario.gpus[0].fault(ENERGY, code)
    scenario.write()
    during = read_first(source)
    scenario.gpus[0].heal()
    scenario.write()
    after = read_first(source)

    assert during.energy_joules is None
    assert during.has_energy_counter is True
    assert during.power_watts == pytest.approx(100.0)
    assert after.energy_joules is not None


def test_a_counter_whose_first_call_fails_is_not_written_off(scenario, source):
    """Only the driver's word that there is no counter makes a GPU one without."""
    scenario.gpus[0].fault(ENERGY, UNKNOWN)
    scenario.write()

    gpu = read_first(source)

    assert gpu.energy_joules is None
    assert gpu.has_energy_counter is True


def test_a_lost_gpu_stays_in_the_reading_while_the_other_goes_on(scenario, source):
    """A GPU that fell off the bus gives its identity and the reason; the other one gives everything."""
    source.read()
    scenario.gpus[0].fault("*", GPU_IS_LOST)
    scenario.write()

    lost, other = source.read().gpus

    assert (lost.uuid, lost.index) == ("GPU-one", 0)
    assert "GPU is lost" in lost.fault
    assert (lost.energy_joules, lost.power_watts, lost.processes) == (None, None, None)
    assert lost.power_samples == ()
    assert lost.has_energy_counter is True
    assert other.fault is None
    assert other.energy_joules is not None


def test_a_gpu_that_is_lost_while_it_is_read_gives_no_half_reading(scenario, source):
    """All values of a GPU with a fault are absent, also those it gave just before."""
    scenario.gpus[0].fault("nvmlDeviceGetTemperatureV", RESET_REQUIRED)
    scenario.write()

    gpu = read_first(source)

    assert "evenwatt gpu release" in gpu.fault
    assert (gpu.energy_joules, gpu.power_watts, gpu.power_samples) == (None, None, ())


def test_a_gpu_that_comes_back_is_read_again(scenario, source):
    """After the back-off the GPU is opened anew, and power sampled before the loss is not forgotten."""
    source.read()
    source.sample()
    scenario.gpus[0].fault("*", GPU_IS_LOST)
    scenario.write()
    source.read()
    scenario.gpus[0].heal()
    scenario.write()

    gpu = read_first(source)

    assert gpu.fault is None
    assert gpu.energy_joules is not None
    assert len(gpu.power_samples) == 2


def test_a_lost_gpu_is_left_alone_for_a_while(library, scenario):
    """During the back-off no call is made on it, by readings and samples alike."""
    source = NvmlSource(retry_seconds=60)
    scenario.gpus = [FakeGpu("GPU-one")]
    scenario.write()
    source.read()
    scenario.gpus[0].fault("*", GPU_IS_LOST)
    scenario.write()
    source.read()
    symbols = (ENERGY.encode(), POWER.encode(), b"nvmlDeviceGetHandleByUUID")
    before = [library.fake_nvml_calls(symbol) for symbol in symbols]

    source.sample()
    gpu = read_first(source)
    source.close()

    assert gpu.fault is not None
    assert [library.fake_nvml_calls(symbol) for symbol in symbols] == before


def test_a_gpu_that_never_opened_is_shown_without_its_name(scenario, source):
    """A GPU that is lost from the beginning is in the reading by its index, until it tells its UUID."""
    scenario.gpus[1].fault("*", GPU_IS_LOST)
    scenario.write()
    lost = source.read().gpus[1]
    scenario.gpus[1].heal()
    scenario.write()
    found = source.read().gpus[1]

    assert (lost.uuid, lost.index, lost.energy_joules) == ("unknown-1", 1, None)
    assert "GPU is lost" in lost.fault
    assert (found.uuid, found.fault) == ("GPU-two", None)


def test_a_gpu_that_answers_nothing_has_a_fault(scenario, source):
    """A GPU whose every call fails is not shown as one that is well and says nothing."""
    scenario.gpus[0] = FakeGpu(
        "GPU-one",
        watts=None,
        energy_since=None,
        limit_watts=None,
        utilization_percent=None,
        memory_bytes=None,
        temperature_celsius=None,
        processes=None,
    )
    scenario.write()

    assert "Not Supported" in read_first(source).fault


def use(*processes):
    """Return a GPU that tells what each of its processes does: (PID, bytes, percent)."""
    return FakeGpu("GPU-one", processes=list(processes), has_process_utilization=True)


def activity(gpu):
    """Return the SM activity that is told of each process of a GPU."""
    return {process.pid: process.sm_utilization_ratio for process in gpu.processes}


def test_activity_of_processes_is_the_mean_of_its_samples(scenario, source):
    """Each sample is taken as often as power, and who is in none of them was idle."""
    scenario.gpus[0] = use((1, 4_000, 60), (2, 1_000, 20), (3, 1_000))
    scenario.write()

    assert activity(read_first(source)) == {1: None, 2: None, 3: None}

    source.sample()
    scenario.gpus[0] = use((1, 4_000, 0), (2, 1_000, 40), (3, 1_000))
    scenario.write()

    # Twice as at first, by the first reading's list and the sample; once as it is now.
    assert activity(read_first(source)) == pytest.approx({1: 0.3, 2: 0.3, 3: 0.0})
    assert activity(read_first(source)) == pytest.approx({1: 0.0, 2: 0.4, 3: 0.0})


def test_activity_of_a_single_process_is_asked_once_a_reading(library, scenario, source):
    """Where nothing is shared no call is spent on how."""
    scenario.gpus = [use((1, 4_000, 60))]
    scenario.write()
    source.read()
    before = library.fake_nvml_calls(b"nvmlDeviceGetProcessUtilization")
    for _ in range(5):
        source.sample()

    assert library.fake_nvml_calls(b"nvmlDeviceGetProcessUtilization") == before
    assert activity(read_first(source)) == pytest.approx({1: 0.6})


def test_a_process_that_ended_keeps_its_place_until_the_next_reading(scenario, source):
    """A model that was unloaded in between is still known for the engine's by its parents."""
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        scenario.gpus[0] = use((child.pid, 4_000, 60), (2, 1_000, 20))
        scenario.write()
        source.read()
        source.sample()
        child.kill()
    scenario.gpus[0] = use((2, 1_000, 20))
    scenario.write()

    (stays, ended) = read_first(source).processes

    assert (stays.pid, ended.pid, ended.memory_bytes) == (2, child.pid, 0)
    assert os.getpid() in ended.ancestors
    assert ended.sm_utilization_ratio == pytest.approx(0.3)


def test_what_draws_on_a_screen_is_told_of_by_its_activity(scenario, source):
    """It is in no list of computing processes and keeps the GPU busy all the same."""
    scenario.gpus[0] = use((1, 4_000, 60))
    scenario.gpus[0].drawing = [(os.getpid(), 20)]
    scenario.write()
    source.read()

    first = read_first(source).processes
    source.sample()
    game = read_first(source).processes[1]

    assert [process.pid for process in first] == [1, os.getpid()]
    assert (game.pid, game.memory_bytes, game.ancestors[0]) == (os.getpid(), 0, os.getppid())
    assert game.sm_utilization_ratio == pytest.approx(0.2)


def test_activity_under_other_process_numbers_is_not_joined(scenario, source, monkeypatch):
    """Some drivers list the container's numbers and sample the host's: then it is not told whose it is."""
    scenario.gpus[0] = use((1, 4_000, 60), (2, 1_000, 20))
    scenario.write()
    source.read()
    listed = [SimpleNamespace(pid=101, usedGpuMemory=4_000), SimpleNamespace(pid=102, usedGpuMemory=1_000)]
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses_v3", lambda _: listed)
    source.read()

    assert activity(read_first(source)) == {101: None, 102: None}


def test_activity_that_the_driver_does_not_tell_is_absent(scenario, source):
    """A driver without it leaves the processes as they are, and is not asked again."""
    scenario.gpus[0].processes = [(1, 4_000), (2, 1_000)]
    scenario.write()
    source.read()
    source.sample()

    assert activity(read_first(source)) == {1: None, 2: None}


def test_instances_of_a_card_in_mig_mode_come_with_their_slices_and_processes(scenario, source):
    """The card says how many slices it has in all, each instance what is its own; the card has no list."""
    scenario.gpus[0] = FakeGpu(
        "GPU-one",
        utilization_percent=None,
        compute_slices=7,
        instances=[
            FakeInstance("MIG-a", 3, [(os.getpid(), 5_000)]),
            FakeInstance("MIG-b", 2, None),
        ],
    )
    scenario.write()

    gpu, plain = source.read().gpus
    first, second = gpu.instances

    assert (gpu.processes, gpu.compute_slices, gpu.utilization_ratio) == (None, 7, None)
    assert (first.uuid, first.compute_slices) == ("MIG-a", 3)
    assert [(p.pid, p.memory_bytes) for p in first.processes] == [(os.getpid(), 5_000)]
    assert (second.uuid, second.compute_slices, second.processes) == ("MIG-b", 2, None)
    assert (plain.instances, plain.compute_slices, plain.processes) == (None, None, ())


def test_instances_are_listed_anew_at_each_reading(scenario, source):
    """A card can be divided anew while it is being read."""
    scenario.gpus[0] = FakeGpu("GPU-one", compute_slices=7, instances=[FakeInstance("MIG-a", 7)])
    scenario.write()
    source.read()
    scenario.gpus[0].instances = [FakeInstance("MIG-b", 4), FakeInstance("MIG-c", 3)]
    scenario.write()

    assert [instance.uuid for instance in read_first(source).instances] == ["MIG-b", "MIG-c"]


def test_processes_come_with_their_ancestors(scenario, source):
    """Each process on the GPU tells its memory, where the driver says it, and its parents."""
    scenario.gpus[0].processes = [(os.getpid(), 5_000_000_000), (2**22 + 1, None)]
    scenario.write()

    ours, nobodys = read_first(source).processes

    assert (ours.pid, ours.memory_bytes) == (os.getpid(), 5_000_000_000)
    assert ours.ancestors[0] == os.getppid()
    assert (nobodys.pid, nobodys.memory_bytes, nobodys.ancestors) == (2**22 + 1, None, ())


def test_older_drivers_are_asked_in_their_own_way(scenario, source):
    """Temperature and processes come through the older symbols where the newer ones are missing."""
    scenario.gpus[0].temperature_celsius = 48
    scenario.gpus[0].processes = [(1, 1_000)]
    scenario.gpus[0].fault("nvmlDeviceGetTemperatureV", FUNCTION_NOT_FOUND)
    scenario.gpus[0].fault("nvmlDeviceGetComputeRunningProcesses_v3", FUNCTION_NOT_FOUND)
    scenario.write()

    gpu = read_first(source)

    assert gpu.temperature_celsius == 48.0
    assert [process.memory_bytes for process in gpu.processes] == [1_000]


def test_a_driver_that_is_loaded_later_is_found(scenario, source):
    """Without a driver there is no reading, a reason, and another try at the next reading."""
    scenario.init_code = DRIVER_NOT_LOADED
    scenario.write()
    reason = unavailable(source)
    scenario.init_code = 0
    scenario.write()

    assert "libnvidia-ml.so.1" in reason
    assert "modprobe nvidia" in reason
    assert [gpu.fault for gpu in source.read().gpus] == [None, None]


def test_a_failed_library_is_initialised_anew_and_keeps_its_samples(scenario, source):
    """A driver that vanishes under a sample fails the next reading, not the sample, and no power is lost."""
    source.read()
    source.sample()
    scenario.rules = [f"fault * {DRIVER_NOT_LOADED}"]
    scenario.init_code = DRIVER_NOT_LOADED
    scenario.write()
    source.sample()
    reason = unavailable(source)
    held = scenario.clients()
    scenario.rules = []
    scenario.init_code = 0
    scenario.write()

    gpu = read_first(source)

    assert "Driver Not Loaded" in reason
    assert held == set()
    assert len(gpu.power_samples) == 2


def test_a_library_that_fails_half_way_through_a_reading_loses_no_samples(scenario, source):
    """The samples of a GPU that was already read are in the next reading that succeeds."""
    source.read()
    source.sample()
    scenario.gpus[1].fault(ENERGY, DRIVER_NOT_LOADED)
    scenario.write()
    unavailable(source)
    scenario.gpus[1].heal()
    scenario.write()

    assert len(read_first(source).power_samples) == 3


def test_a_library_that_opens_no_gpu_is_no_reading(scenario, source):
    """A fault of the whole library is not blamed on the GPU that was just being opened."""
    scenario.rules = [f"fault nvmlDeviceGetHandleByIndex_v2 {DRIVER_NOT_LOADED}"]
    scenario.write()

    reason = unavailable(source)

    assert "Driver Not Loaded" in reason
    assert scenario.clients() == set()


def test_a_driver_reload_shows_as_a_counter_that_begins_again(scenario, source):
    """The counter is handed on as the driver has it, also when it starts from 0."""
    before = read_first(source)
    scenario.gpus[0].reload_driver()
    scenario.write()

    after = read_first(source)

    assert before.energy_joules > 90_000
    assert after.energy_joules < 1_000
    assert after.has_energy_counter is True


def test_gpus_are_known_by_uuid_when_indexes_shift(scenario, source):
    """After a reload with one GPU less, the other keeps its identity and the lost one is still shown."""
    source.read()
    source.request_release()
    source.read()
    del scenario.gpus[0]
    scenario.write()
    source.request_resume()

    by_uuid = {gpu.uuid: gpu for gpu in source.read().gpus}

    assert set(by_uuid) == {"GPU-one", "GPU-two"}
    assert "no longer lists" in by_uuid["GPU-one"].fault
    assert (by_uuid["GPU-two"].index, by_uuid["GPU-two"].fault) == (0, None)


def test_a_gpu_that_is_listed_again_is_asked_for_everything(scenario, source):
    """What it lacked under the driver before is not held against a GPU that comes back."""
    gpu = scenario.gpus[0]
    gpu.limit_watts = None
    scenario.write()
    source.read()
    source.request_release()
    source.read()
    del scenario.gpus[0]
    scenario.write()
    source.request_resume()
    source.read()
    gpu.limit_watts = 350.0
    scenario.gpus.append(gpu)
    scenario.write()

    by_uuid = {gpu.uuid: gpu for gpu in source.read().gpus}

    assert by_uuid["GPU-one"].power_limit_watts == 350.0


def test_a_known_gpu_that_cannot_be_opened_after_a_reload_is_one_gpu(scenario, source):
    """A listed GPU without a UUID is taken for the one that is missing, not for one more."""
    source.read()
    source.request_release()
    source.read()
    scenario.gpus[0].fault("*", GPU_IS_LOST)
    scenario.write()
    source.request_resume()

    lost, other = source.read().gpus

    assert (lost.uuid, other.uuid) == ("GPU-one", "GPU-two")
    assert "GPU is lost" in lost.fault


def test_release_gives_a_last_reading_and_holds_nothing(scenario, source):
    """The reading after the request is whole; then this process is no client of NVML any more."""
    source.read()
    source.sample()
    held_before = scenario.clients()

    source.request_release()
    last = read_first(source)

    assert held_before == {os.getpid()}
    assert last.energy_joules is not None
    assert len(last.power_samples) == 2
    assert source.released is True
    assert scenario.clients() == set()


def test_released_gpus_stay_released_and_say_how_to_resume(library, source):
    """Readings fail with the command to type, and neither they nor samples touch NVML."""
    source.read()
    source.request_release()
    source.read()
    before = [library.fake_nvml_calls(symbol) for symbol in (b"nvmlInitWithFlags", POWER.encode())]

    source.sample()
    reason = unavailable(source)

    assert "evenwatt gpu resume" in reason
    assert [library.fake_nvml_calls(symbol) for symbol in (b"nvmlInitWithFlags", POWER.encode())] == before


def test_resume_takes_the_gpus_up_again(scenario, source):
    """The counter went on while nobody looked, and the next reading has all of it."""
    before = read_first(source)
    source.request_release()
    source.read()
    source.request_resume()

    after = read_first(source)

    assert source.released is False
    assert after.energy_joules >= before.energy_joules
    assert scenario.clients() == {os.getpid()}


def test_release_before_the_first_reading_opens_nothing(library, scenario, source):
    """GPUs that were not taken up need no last reading."""
    before = library.fake_nvml_calls(b"nvmlInitWithFlags")
    source.request_release()

    reason = unavailable(source)

    assert "evenwatt gpu resume" in reason
    assert source.released is True
    assert library.fake_nvml_calls(b"nvmlInitWithFlags") == before


def test_release_holds_also_when_the_last_reading_fails(scenario, source):
    """A driver that is gone is no reason to come back to it."""
    source.read()
    scenario.rules = [f"fault * {DRIVER_NOT_LOADED}"]
    scenario.write()
    source.request_release()

    unavailable(source)

    assert source.released is True
    assert scenario.clients() == set()


def test_a_driver_of_another_version_needs_a_new_process(scenario, source):
    """After it has worked here, a mismatch between library and driver can only be ended by a restart."""
    source.read()
    source.request_release()
    source.read()
    scenario.init_code = LIB_RM_VERSION_MISMATCH
    scenario.write()
    source.request_resume()

    reason = unavailable(source)

    assert "restart evenwatt" in reason
    assert source.needs_restart is True


def test_a_mismatch_from_the_beginning_needs_no_new_process(scenario, source):
    """A library that never worked here may be newer than the driver, which a reload of the driver mends."""
    scenario.init_code = LIB_RM_VERSION_MISMATCH
    scenario.write()
    unavailable(source)
    needed = source.needs_restart
    scenario.init_code = 0
    scenario.write()

    assert needed is False
    assert source.read().gpus[0].fault is None


def test_a_call_that_hangs_holds_up_its_own_thread_only(scenario, source):
    """While the driver does not answer, other threads run; when it does, the reading is complete."""
    source.read()
    scenario.gpus[0].hang(POWER)
    scenario.write()
    readings = []
    reader = threading.Thread(target=lambda: readings.append(source.read()), daemon=True)

    reader.start()
    reader.join(timeout=0.2)
    hung = reader.is_alive()
    scenario.gpus[0].heal()
    scenario.write()
    reader.join(timeout=10)

    assert hung is True
    assert readings[0].gpus[0].power_watts == pytest.approx(100.0)


def run_in_new_process(code, environment):
    """Return what a new Python process prints, which has only this NVML."""
    command = [sys.executable, "-c", code]
    finished = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=True
    )
    return finished.stdout.strip()


def test_nvml_is_found_by_name_through_the_loader(library_path, tmp_path):
    """A new process finds the library as it does on a server, reads the GPUs and is no client afterwards."""
    scenario = Scenario(tmp_path / "nvml.txt", FakeGpu("GPU-one", watts=321))
    code = (
        "from evenwatt.readings.nvml import NvmlSource, nvml_available\n"
        "source = NvmlSource()\n"
        "print(nvml_available(), source.read().gpus[0].power_watts)\n"
        "source.close()\n"
    )

    assert run_in_new_process(code, scenario.environment(library_path)) == "None 321.0"
    assert scenario.clients() == set()


def test_a_call_that_never_returns_does_not_keep_the_process(library_path, tmp_path):
    """A process whose reading thread is stuck in the driver for ever can still end by itself."""
    scenario = Scenario(tmp_path / "nvml.txt", FakeGpu("GPU-one"))
    scenario.gpus[0].stick(POWER)
    scenario.write()
    code = (
        "import threading\n"
        "from evenwatt.readings.nvml import NvmlSource\n"
        "reader = threading.Thread(target=NvmlSource().read, daemon=True)\n"
        "reader.start()\n"
        "reader.join(0.3)\n"
        "print(reader.is_alive())\n"
    )

    assert run_in_new_process(code, scenario.environment(library_path)) == "True"


def test_two_processes_see_the_same_energy(library_path, scenario, source):
    """The counter belongs to the GPU, not to who asks."""
    code = "from evenwatt.readings.nvml import NvmlSource; print(NvmlSource().read().gpus[0].energy_joules)"

    before = read_first(source).energy_joules
    theirs = float(run_in_new_process(code, scenario.environment(library_path)))
    after = read_first(source).energy_joules

    assert before <= theirs <= after


def test_a_machine_without_the_library_says_what_to_install(tmp_path):
    """Where NVIDIA's library cannot be loaded, the reason tells a person what is missing."""
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"")
    code = "from evenwatt.readings.nvml import nvml_available; print(nvml_available())"

    reason = run_in_new_process(code, {"LD_LIBRARY_PATH": str(tmp_path)})

    assert "install the NVIDIA driver" in reason


def test_nvml_with_a_gpu_is_available_and_not_held(scenario):
    """Asking whether GPUs can be read leaves nothing open."""
    assert nvml_available() is None
    assert scenario.clients() == set()


@pytest.mark.parametrize(
    ("init_code", "words"),
    [
        (DRIVER_NOT_LOADED, "modprobe nvidia"),
        (LIB_RM_VERSION_MISMATCH, "the driver was upgraded"),
        (UNKNOWN, "see whether nvidia-smi works"),
    ],
)
def test_nvml_that_cannot_start_gives_the_reason(scenario, init_code, words):
    """The reason says what was found and what to do."""
    scenario.init_code = init_code
    scenario.write()

    assert words in nvml_available()


def test_nvml_without_gpus_is_not_available(scenario):
    """A driver without GPUs has nothing to read."""
    scenario.gpus = []
    scenario.write()

    assert "lists no GPU" in nvml_available()
