"""Small builders for tests of the ledger: moments, readings, and books that keep all that was posted."""

import json
from collections.abc import Iterable, Mapping

from evenwatt.ledger import Ledger, LedgerRules, Posting, Usage, merged_postings
from evenwatt.model import (
    Coverage,
    EnergyCounter,
    EngineReading,
    Epoch,
    Event,
    GpuProcess,
    GpuReading,
    GpusReading,
    HostReading,
    ModelCounters,
    Moment,
    PowerSample,
    Reading,
)

START = 1_800_000_000
"""The Unix time at which tests begin: the first second of an hour."""

UPTIME = 1_000.0
"""How long the machine was up then."""

JOULES = ("active_joules", "idle_loaded_joules", "idle_empty_joules")
SECONDS = ("active_seconds", "idle_loaded_seconds", "idle_empty_seconds")


def at(seconds, *, boot="boot-1", uptime=None, stepped=0.0):
    """Return the moment some seconds after the start, on a wall clock that may have been set since."""
    return Moment(
        utc_seconds=START + seconds + stepped,
        boot_seconds=UPTIME + seconds if uptime is None else uptime,
        boot_id=boot,
    )


def counters(
    model="small", *, read=0, wrote=0, cached=None, completed=None, prefill=None, decode=None, step=1
):
    """Return one model's counters: what it read, what it wrote."""
    return ModelCounters(
        model=model,
        input_tokens=read,
        output_tokens=wrote,
        cached_input_tokens=cached,
        requests={} if completed is None else {"completed": completed},
        prefill_seconds=prefill,
        decode_seconds=decode,
        step_tokens=step,
    )


def engine(
    moment, *models, name="chat", signals=None, started=None, running=None, waiting=None, pid=None, **process
):
    """Return an engine's reading; `started` is in seconds after the start of the tests."""
    return EngineReading(
        engine=name,
        kind="vllm",
        moment=moment,
        epoch=Epoch(
            signals={"header": name} if signals is None else signals,
            started_boot_seconds=None if started is None else UPTIME + started,
        ),
        models=models,
        requests_running=running,
        requests_waiting=waiting,
        listener_pid=pid,
        **process,
    )


def gpu(moment, joules=None, *, uuid="GPU-a", index=0, counter=True, watts=(), **values):
    """Return a GPU's reading; `watts` are (seconds after the start, watts) of its power samples."""
    samples = tuple(PowerSample(boot_seconds=UPTIME + s, power_watts=w) for s, w in watts)
    return GpuReading(
        uuid=uuid,
        index=index,
        name="Card",
        moment=moment,
        has_energy_counter=counter,
        energy_joules=joules,
        power_samples=samples,
        **values,
    )


def gpus(*listed):
    """Return a reading of all GPUs, taken when the first of them was."""
    return GpusReading(moment=listed[0].moment, gpus=listed)


def host(moment, joules=None, *, covers="wall", watts=(), power=None, **values):
    """Return a reading of host power; `joules` by part, or of the only one.

    `watts` are (seconds after the start, watts) of its power samples.
    """
    parts = joules if isinstance(joules, dict) else {} if joules is None else {"total": joules}
    counter = {"most_watts": 20_000.0, "range_joules": None, **values.pop("counter", {})}
    samples = tuple(PowerSample(boot_seconds=UPTIME + s, power_watts=w) for s, w in watts)
    return HostReading(
        **{
            "source": "http",
            "meter": "http://plug/status",
            "moment": moment,
            "covers": Coverage(covers),
            "counters": tuple(EnergyCounter(name=n, energy_joules=j, **counter) for n, j in parts.items()),
            "power_samples": samples,
            "power_watts": power,
            **values,
        }
    )


def process(pid, *, below=(), memory=None, sm=None, body=None):
    """Return a process on a GPU, below its ancestors; `sm` is the share of the multiprocessors' time."""
    return GpuProcess(pid=pid, ancestors=below, memory_bytes=memory, sm_utilization_ratio=sm, body=body)


class Books:
    """A ledger and all that it has posted.

    Args:
        rules: Of the ledger.
        engines: Known from the beginning; others become known by being read.
        posted: What an earlier ledger of the same history had posted.
    """

    def __init__(self, rules=None, *, engines=(), posted=None):
        self.rules = rules or LedgerRules()
        self.engines = list(engines)
        self.posted = posted or Posting()
        # As a database gives them back: cursors as JSON, labels as far as rows have them.
        cursors: Mapping[str, Mapping[str, object]] = json.loads(json.dumps(self.posted.cursors))
        models: dict[str, frozenset[str]] = {}
        for _, name, model in self.posted.usage:
            models[name] = models.get(name, frozenset()) | {model}
        self.ledger = Ledger(self.rules, cursors=cursors, models=models)

    def reopened(self) -> "Books":
        """Return the same history in a new process."""
        return Books(self.rules, engines=self.engines, posted=self.posted)

    def fold(self, moment: Moment, *readings: Reading) -> Posting:
        """Fold one tick and return what it posted."""
        for reading in readings:
            if isinstance(reading, EngineReading) and reading.engine not in self.engines:
                self.engines.append(reading.engine)
        posting = self.ledger.fold(moment, readings, engines=tuple(self.engines))
        self.posted = merged_postings(self.posted, posting)
        return posting

    def rows(self, engine=None, model=None) -> Iterable[Usage]:
        """Return the usage rows of an engine and model; None: of all."""
        return [
            row
            for (_, of_engine, of_model), row in self.posted.usage.items()
            if engine in (None, of_engine) and model in (None, of_model)
        ]

    def total(self, *columns, engine=None, model=None):
        """Return the sum of usage columns; None where no row has a value."""
        values = [getattr(row, column) for row in self.rows(engine, model) for column in columns]
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    def tokens(self, engine="chat", model=None):
        """Return computed input and output."""
        return tuple(
            self.total(column, engine=engine, model=model) for column in ("input_tokens", "output_tokens")
        )

    def joules(self, engine=None, model=None):
        """Return energy of all states."""
        return self.total(*JOULES, engine=engine, model=model)

    def seconds(self, engine=None, model=None):
        """Return time of all states."""
        return self.total(*SECONDS, engine=engine, model=model)

    @property
    def gpu_joules(self):
        """What all GPUs drew."""
        return sum(row.energy_joules or 0.0 for row in self.posted.gpus.values())

    @property
    def meter_joules(self):
        """What the machine drew beside its GPUs."""
        return sum(row.energy_joules or 0.0 for row in self.posted.meters.values())

    @property
    def metered_seconds(self):
        """For how long that is known."""
        return sum(row.measured_seconds or 0.0 for row in self.posted.meters.values())

    @property
    def host_seconds(self):
        """The machine's time that was accounted for."""
        return sum(row.seconds for row in self.posted.hosts.values())

    def events(self, kind) -> list[Event]:
        """Return the events of a kind."""
        return [event for event in self.posted.events if event.kind == kind]
