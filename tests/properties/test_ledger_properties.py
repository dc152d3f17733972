"""What the ledger promises, against a made-up machine that knows what truly happened.

The machine below counts by itself: it shares no code and no rule with the ledger. Its engines add up what
each of their processes counted, and what of it anybody could have seen; its GPUs what they truly drew.
"""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenwatt.ledger import LedgerRules
from evenwatt.ledger.spans import minute_of
from evenwatt.model import EngineReading, Epoch, GpuInstance, GpuReading, Moment, PowerSample
from ledger_values import START, Books, at, counters, engine, gpu, gpus, process

# --- a machine that knows the truth ------------------------------------------------------------------------


@dataclass
class TrueEngine:
    """An engine whose processes come and go, each counting from zero.

    Attributes:
        seen: By model and kind of token, what could be seen: of each process what its last page said, less
            what it had counted before anybody watched.
        counted: All that it ever counted since the first tick, seen or not.
    """

    name: str
    pid: int
    has_identity: bool
    tells_start: bool
    number: int = 0
    started: float = -1.0
    page: dict[tuple[str, str], int] = field(default_factory=dict)
    last_page: dict[tuple[str, str], int] | None = None
    was_ever_read: bool = False
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    counted: int = 0

    def restart(self, now):
        """Begin anew with a new process."""
        self.number, self.started, self.page, self.last_page = self.number + 1, now, {}, None

    def work(self, work):
        """Count tokens of some models."""
        for key, count in work.items():
            self.page[key] = self.page.get(key, 0) + count
            self.counted += count

    def read(self, moment, now, running):
        """Return what its page says, and keep what of it is new to a reader who missed nothing."""
        is_baseline = not self.was_ever_read and not (self.tells_start and self.started >= 0)
        before = self.page if is_baseline else self.last_page or {}
        for key, count in self.page.items():
            self.seen[key] = self.seen.get(key, 0) + count - before.get(key, 0)
        self.last_page, self.was_ever_read = dict(self.page), True
        names = sorted({name for name, _ in self.page})
        return EngineReading(
            engine=self.name,
            kind="vllm",
            moment=moment,
            epoch=Epoch(
                signals={"process": f"{self.name} {self.number}"} if self.has_identity else {},
                started_boot_seconds=moment.boot_seconds - (now - self.started) if self.tells_start else None,
            ),
            models=tuple(
                counters(n, **{kind: self.page.get((n, kind), 0) for kind in ("read", "cached", "wrote")})
                for n in names
            ),
            requests_running=int(running),
            listener_pid=self.pid,
        )


@dataclass
class TrueGpu:
    """A GPU that draws power along straight lines, and counts or is sampled.

    Attributes:
        seen: What its counter said that it drew between the first and the last reading of it.
        was_plain: It kept its counter all the time, which was never reset.
    """

    uuid: str
    has_counter: bool
    watts: float = 50.0
    counter: float = 1_000.0
    drawn: float = 0.0
    seen: float = 0.0
    last_counter: float | None = None
    was_plain: bool = True
    samples: list[tuple[float, float]] = field(default_factory=list)

    def run(self, seconds, watts, boot_seconds):
        """Draw power for a while, on the way from the last power to another."""
        joules = seconds * (self.watts + watts) / 2
        self.drawn += joules
        self.counter += joules
        steps = min(math.ceil(seconds / 20), 40) or 1
        for step in range(1, steps + 1):
            part = step / steps
            here = self.watts + (watts - self.watts) * part
            self.samples.append((boot_seconds - seconds * (1 - part), here))
        self.watts = watts

    def reset(self):
        """Begin the counter anew."""
        self.counter, self.was_plain = 0.0, False

    def flip(self):
        """Come to have a counter, or cease to have one."""
        self.has_counter, self.was_plain = not self.has_counter, False

    def read(self, moment, index, fate, on_it):
        """Return what it says; `mute` is a counter that fails, `lost` a GPU that does."""
        if fate == "lost":
            return gpu(moment, uuid=self.uuid, index=index, counter=self.has_counter, fault="lost")
        taken, self.samples = self.samples, []
        says_counter = self.has_counter and fate != "mute"
        if says_counter:
            self.seen += 0.0 if self.last_counter is None else self.counter - self.last_counter
            self.last_counter = self.counter
        return GpuReading(
            uuid=self.uuid,
            index=index,
            name="Card",
            moment=moment,
            has_energy_counter=self.has_counter,
            energy_joules=self.counter if says_counter else None,
            power_samples=tuple(PowerSample(boot_seconds=s, power_watts=w) for s, w in taken),
            utilization_ratio=self.watts / 400,
            **on_it,
        )


MODELS = ("small", "large")
KINDS = {"read": "input_tokens", "cached": "cached_input_tokens", "wrote": "output_tokens"}
tokens = st.integers(min_value=0, max_value=1_000)
work = st.dictionaries(
    st.tuples(st.sampled_from(MODELS), st.sampled_from(("read", "cached", "wrote"))), tokens
)
engine_steps = st.fixed_dictionaries(
    {
        "fate": st.sampled_from(("up", "up", "up", "restart", "down")),
        "work": work,
        "running": st.booleans(),
    }
)
listed = st.none() | st.lists(
    st.builds(
        process,
        st.sampled_from((7, 8, 99)),
        memory=st.sampled_from((None, 0, 1 << 30, 3 << 30)),
        sm=st.sampled_from((None, 0.0, 0.01, 0.3, 0.9)),
        body=st.sampled_from((None, "chat.service")),
    ),
    max_size=3,
    unique_by=lambda one: one.pid,
).map(tuple)
divided = st.lists(st.tuples(st.sampled_from((0, 1, 3)), listed), max_size=2).map(
    lambda parts: tuple(
        GpuInstance(uuid=f"MIG-{number}", compute_slices=slices, processes=on_it)
        for number, (slices, on_it) in enumerate(parts)
    )
)
gpu_steps = st.fixed_dictionaries(
    {
        "fate": st.sampled_from(("up", "up", "up", "up", "reset", "flip", "lost", "mute")),
        "watts": st.floats(min_value=0, max_value=400),
        "on_it": st.fixed_dictionaries({"processes": listed})
        | st.fixed_dictionaries({"instances": divided, "compute_slices": st.sampled_from((None, 4, 7))}),
    }
)
steps = st.lists(
    st.fixed_dictionaries(
        {
            "seconds": st.sampled_from((0.0, 0.1, 10.0, 10.003, 59.0, 3_601.0, 100_000.0))
            | st.floats(min_value=0, max_value=300),
            "stepped": st.sampled_from((0.0, 0.0, 0.0, 0.2, 3_600.0, -3_600.0)),
            "reboot": st.sampled_from((False, False, False, False, True)),
            "nvml": st.sampled_from((True, True, True, False)),
            "engines": st.tuples(engine_steps, engine_steps),
            "gpus": st.tuples(gpu_steps, gpu_steps, gpu_steps),
        }
    ),
    min_size=1,
    max_size=12,
)
rules = st.builds(
    LedgerRules,
    configured_gpus=st.sampled_from(({}, {"chat": (0,)}, {"chat": (0, 1), "embed": ("GPU-b",)})),
    remote_engines=st.sampled_from((frozenset(), frozenset({"embed"}))),
)
machines = st.builds(
    lambda cards, identities, starts: (
        [
            TrueEngine(name, pid, identity, start)
            for name, pid, identity, start in zip(("chat", "embed"), (7, 8), identities, starts, strict=True)
        ],
        [TrueGpu(uuid, counter) for uuid, counter in zip(("GPU-a", "GPU-b", "GPU-c"), cards, strict=False)],
    ),
    cards=st.lists(st.booleans(), max_size=3),
    identities=st.tuples(st.booleans(), st.booleans()),
    starts=st.tuples(st.booleans(), st.booleans()),
)


class TrueMachine:
    """Engines and GPUs in time, from the first tick of an agent that watches them."""

    def __init__(self, engines, cards):
        self.engines, self.cards = engines, cards
        self.now, self.offset, self.boot, self.booted = 0.0, 0.0, 1, -1_000.0

    @property
    def moment(self):
        """The present on both clocks."""
        return Moment(
            utc_seconds=START + self.now + self.offset,
            boot_seconds=self.now - self.booted,
            boot_id=f"boot-{self.boot}",
        )

    def ticks(self, steps):
        """Yield the moment and readings of each tick."""
        for number, step in enumerate(steps):
            began = self.now
            self.now += step["seconds"] if number else 0.0
            if step["reboot"] and number:
                self._reboot(began)
            else:
                self.offset += step["stepped"]
            yield self.moment, [*self._engines(step["engines"]), *self._gpus(began, step)]

    def _reboot(self, began):
        # Off for the first half; every process and every counter begins anew.
        self.boot, self.booted = self.boot + 1, (began + self.now) / 2
        for one in self.engines:
            one.restart(self.booted)
        for card in self.cards:
            card.reset()
            card.samples.clear()

    def _engines(self, steps):
        for one, step in zip(self.engines, steps, strict=True):
            if step["fate"] == "restart":
                one.restart(self.now)
            one.work(step["work"])
            if step["fate"] != "down":
                yield one.read(self.moment, self.now, step["running"])

    def _gpus(self, began, step):
        since = max(began, self.booted)
        for card, said in zip(self.cards, step["gpus"], strict=False):
            if said["fate"] in ("reset", "flip"):
                getattr(card, said["fate"])()
            card.run(self.now - since, said["watts"], self.moment.boot_seconds)
        if self.cards and step["nvml"]:
            read = (
                card.read(self.moment, index, said["fate"], said["on_it"])
                for index, (card, said) in enumerate(zip(self.cards, step["gpus"], strict=False))
            )
            yield gpus(*read)


def close(value):
    """Return what equals a value to 1e-9 of it."""
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def numbers(posting):
    """Return every number of a posting's rows."""
    tables = (posting.usage, posting.gpus, posting.hosts, posting.sources)
    rows = (row for table in tables for row in table.values())
    values = (getattr(row, name) for row in rows for name in row.__struct_fields__)
    return [value for value in values if value is not None]


# --- promises ----------------------------------------------------------------------------------------------


@given(rules, machines, steps)
@settings(max_examples=200, deadline=None)
def test_parts_add_up_to_the_whole_and_nothing_is_invented(rules, parts, steps):
    """Whatever happens, seconds and joules are conserved, totals never fall, and counts are the true ones."""
    machine = TrueMachine(*parts)
    books = Books(rules, engines=("chat", "embed"))
    for moment, readings in machine.ticks(steps):
        posting = books.fold(moment, *readings)

        assert min(numbers(posting), default=0) >= 0

    # Across a boot only UTC is left, which near today keeps a quarter of a microsecond.
    assert books.host_seconds == pytest.approx(machine.now, rel=1e-9, abs=1e-5)
    assert (books.seconds() or 0.0) == close(books.host_seconds)
    assert (books.joules() or 0.0) == close(books.gpu_joules)
    for one in machine.engines:
        booked = {
            (name, kind): books.total(column, engine=one.name, model=name) or 0
            for name in MODELS
            for kind, column in KINDS.items()
        }
        if one.has_identity:
            assert booked == {key: one.seen.get(key, 0) for key in booked}
        assert sum(booked.values()) <= one.counted
    for card in machine.cards:
        rows = [row for (_, uuid), row in books.posted.gpus.items() if uuid == card.uuid]
        booked_joules = sum(row.energy_joules or 0.0 for row in rows)
        if card.has_counter and card.was_plain:
            assert booked_joules == close(card.seen)
        assert booked_joules <= card.drawn * (1 + 1e-9) + 1e-6


@given(rules, machines, steps)
@settings(max_examples=100, deadline=None)
def test_a_ledger_from_stored_cursors_goes_on_as_the_one_that_stored_them(rules, parts, steps):
    """An agent that restarts after every tick posts the same, row by row and word by word."""
    lasting = Books(rules, engines=("chat", "embed"))
    restarting = Books(rules, engines=("chat", "embed"))
    for moment, readings in TrueMachine(*parts).ticks(steps):
        restarting = restarting.reopened()

        assert restarting.fold(moment, *readings) == lasting.fold(moment, *readings)
        assert restarting.ledger.gpu_owners == lasting.ledger.gpu_owners


@given(
    end=st.floats(min_value=1, max_value=200_000),
    cuts=st.lists(st.floats(min_value=0, max_value=1), max_size=20),
    rates=st.tuples(*[st.floats(min_value=0, max_value=5_000)] * 3),
    watts=st.floats(min_value=0, max_value=1_000),
)
@settings(max_examples=100, deadline=None)
def test_looking_more_often_changes_no_total(end, cuts, rates, watts):
    """One tick over an interval and many within it book the same tokens, joules and seconds."""

    def booked(moments):
        books = Books()
        for second in moments:
            read, cached, wrote = (int(rate * second) for rate in rates)
            page = engine(at(second), counters(read=read, cached=cached, wrote=wrote), running=1, pid=7)
            card = gpu(at(second), watts * second, processes=(process(7),))
            books.fold(at(second), page, gpus(card))
        return books

    often, once = booked(sorted({0.0, *(end * part for part in cuts), end})), booked((0.0, end))

    assert often.tokens() == once.tokens()
    assert often.total("cached_input_tokens") == once.total("cached_input_tokens")
    assert often.total("active_joules") == close(once.total("active_joules"))
    assert often.total("active_seconds") == close(once.total("active_seconds"))
    assert often.gpu_joules == close(watts * end)
    assert often.host_seconds == close(end)


@given(pages=st.lists(st.tuples(tokens, tokens, tokens), min_size=1), dips=st.data())
@settings(max_examples=100, deadline=None)
def test_dips_of_a_derived_input_cost_nothing(pages, dips):
    """However input lags behind cached input on the way, the total is exact where they meet again."""
    books = Books()
    computed = cached = wrote = 0
    books.fold(at(0), engine(at(0), counters(read=0, cached=0)))
    for number, (more_computed, more_cached, more_wrote) in enumerate(pages, start=1):
        computed, cached, wrote = computed + more_computed, cached + more_cached, wrote + more_wrote
        is_last = number == len(pages)
        # Cached input that the prompt counter does not hold yet is missing from input, worked out of both.
        early = 0 if is_last else dips.draw(st.integers(min_value=0, max_value=min(more_cached, computed)))
        moment = at(10 * number)
        books.fold(moment, engine(moment, counters(read=computed - early, cached=cached, wrote=wrote)))

    assert books.tokens() == (computed, wrote)
    assert books.total("cached_input_tokens") == cached
    assert not books.events("engine_restart")


@given(st.lists(st.tuples(st.floats(min_value=0, max_value=2e5), st.booleans()), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_time_is_booked_where_it_was(ticks):
    """No minute holds more than a minute, but those in which an absence of more than a day is booked."""
    books = Books()
    books.fold(at(0))
    second = 0.0
    for length, reopens in ticks:
        second += length
        books = books.reopened() if reopens else books
        books.fold(at(second))

    most = 60 if max(length for length, _ in ticks) <= 86_400 else 3_660
    assert max((row.seconds for row in books.posted.hosts.values()), default=0) <= most + 1e-6
    assert max(books.posted.hosts, default=START) <= minute_of(START + second)
