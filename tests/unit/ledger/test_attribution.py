"""Whose joules and seconds: owners of GPUs, shares of engines and models, states."""

import pytest

from evenwatt.ledger import LedgerRules, TokenWeights
from ledger_values import Books, at, counters, engine, gpu, gpus, process

A, B = "GPU-a", "GPU-b"


def reading(moment, name, *, models=(), **said):
    """Return what an engine says."""
    return engine(moment, *models, name=name, **said)


class Server:
    """A machine whose ticks are ten seconds, in which each GPU draws 100 J, folded into books."""

    def __init__(self, rules=None, engines=()):
        self.books = Books(rules, engines=engines)
        self.tick = 0

    def fold(self, *cards, **pages):
        """Fold a tick: what cards show, by position, and what engines say, by name."""
        moment = at(10 * self.tick)
        listed = [
            gpu(moment, 100.0 * self.tick, uuid=uuid, index=index, **card)
            for index, (uuid, card) in enumerate(zip((A, B), cards, strict=False))
        ]
        readings = [reading(moment, name, **said) for name, said in pages.items()]
        self.tick += 1
        self.books.fold(moment, *readings, *([gpus(*listed)] if listed else []))
        return self

    @property
    def owners(self):
        """Who owns the GPUs now."""
        return self.books.ledger.gpu_owners

    def joules(self, name):
        """What an engine's energy is."""
        return self.books.joules(name) or 0.0

    def seconds(self, name):
        """What an engine's time is."""
        return self.books.seconds(name) or 0.0


def wrote(tokens):
    """Return a page of one model."""
    return {"models": [counters(wrote=tokens)]}


# --- owners ------------------------------------------------------------------------------------------------


def test_one_engine_on_one_gpu_has_all_of_it():
    """All energy and time of a GPU go to the only engine whose process is on it."""
    server = Server()
    for _ in range(3):
        server.fold({"processes": (process(7),)}, chat={"pid": 7})

    assert server.joules("chat") == 200
    assert server.seconds("chat") == 20
    assert server.joules("unallocated") == 0


def test_a_process_is_traced_back_to_the_engine_that_listens():
    """What computes is a child of what answers."""
    server = Server()
    server.fold({"processes": (process(9, below=(8, 7, 1)),)}, chat={"pid": 7}, embed={"pid": 6})

    assert server.owners == {A: ("chat",)}


def test_the_machine_s_gpus_are_those_last_listed():
    """Names and owners are told of the GPUs that are there, and of none before the first list."""
    server = Server()

    assert (server.books.ledger.gpu_names, server.owners) == ((), {})

    server.fold({}, {}).fold({})

    assert (server.books.ledger.gpu_names, server.owners) == (("Card",), {A: ()})


def test_an_engine_owns_every_gpu_that_it_is_on():
    """Tensor parallelism: several GPUs are one engine's."""
    server = Server()
    card = {"processes": (process(9, below=(7,)),)}
    for _ in range(2):
        server.fold(card, card, chat={"pid": 7}, embed={"pid": 6})

    assert server.owners == {A: ("chat",), B: ("chat",)}
    assert server.joules("chat") == 200


def test_a_gpu_of_which_nobody_knows_is_nobody_s():
    """Another program's GPU is not given to an engine whose process is seen elsewhere."""
    server = Server()
    for _ in range(2):
        server.fold({"processes": (process(99),), "utilization_ratio": 0.9}, chat={"pid": 7})

    assert server.owners == {A: ()}
    assert server.books.total("active_joules", engine="unallocated") == 100


@pytest.mark.parametrize(
    ("card", "state"),
    [
        ({"processes": ()}, "idle_empty"),
        ({"processes": (), "utilization_ratio": 0.9}, "idle_empty"),
        ({"processes": (process(99),)}, "idle_loaded"),
        ({"processes": (process(99),), "utilization_ratio": 0.04}, "idle_loaded"),
        ({"processes": (process(99),), "utilization_ratio": 0.05}, "active"),
        ({"utilization_ratio": 0.05}, "active"),
        ({}, "idle_empty"),
    ],
)
def test_a_gpu_without_engine_tells_its_own_state(card, state):
    """Kernels that run are work, a process is something in memory, and else there is nothing."""
    server = Server().fold(card).fold(card)

    assert server.books.total(f"{state}_joules", engine="unallocated") == 100


def test_two_engines_without_evidence_leave_a_gpu_to_nobody():
    """Where it cannot be seen whose a GPU is, it is not guessed."""
    server = Server().fold({}, chat={}, embed={})

    assert server.owners == {A: ()}


@pytest.mark.parametrize(
    ("card", "page"),
    [({"processes": ()}, {}), ({"processes": (process(99),)}, {}), ({}, {"pid": 7})],
    ids=["its process is not known", "processes are others' numbers", "no list of processes"],
)
def test_the_only_engine_has_the_gpus_where_processes_cannot_be_traced(card, page):
    """With one engine and no sight of processes there is only one answer."""
    assert Server().fold(card, chat=page).owners == {A: ("chat",)}


def test_the_only_engine_has_nothing_before_it_answers():
    """An engine that never answered is not known to be on a GPU that shows its processes."""
    server = Server(engines=("chat",)).fold({"processes": ()})

    assert server.owners == {A: ()}


def test_a_remote_engine_gets_no_gpu():
    """An engine on another host owns nothing here, and does not stand in another's way."""
    server = Server(LedgerRules(remote_engines=frozenset({"far"})))

    assert server.fold({}, far={}).owners == {A: ()}
    assert server.fold({}, far={}, chat={}).owners == {A: ("chat",)}


@pytest.mark.parametrize("stated", [(1,), (B,)])
def test_configured_gpus_are_by_index_or_uuid(stated):
    """What the configuration states is not argued with, whatever processes are seen."""
    server = Server(LedgerRules(configured_gpus={"chat": stated}))
    card = {"processes": (process(7),)}
    server.fold(card, card, chat={"pid": 7}, embed={})

    assert server.owners == {A: ("embed",), B: ("chat",)}


def test_two_engines_can_be_configured_on_one_gpu():
    """A GPU may be stated for several engines."""
    server = Server(LedgerRules(configured_gpus={"embed": (0,), "chat": (A,)}))

    assert server.fold({}, chat={}, embed={}).owners == {A: ("chat", "embed")}


def test_a_configured_engine_that_was_never_read_holds_its_gpu():
    """A server that is down costs what it costs, also before its first answer."""
    server = Server(LedgerRules(configured_gpus={"chat": (0,)}))
    for _ in range(2):
        server.fold({"processes": ()})

    assert server.books.total("idle_empty_joules", engine="chat") == 100


def test_other_settings_apply_from_the_next_tick():
    """A GPU that is now stated for somebody else leaves who found it."""
    server = Server().fold({}, {}, chat={})
    server.books.ledger.adopt(LedgerRules(configured_gpus={"chat": (1,)}))
    server.fold({}, {}, chat={})

    assert server.owners == {A: (), B: ("chat",)}


def test_an_engine_that_is_down_keeps_its_gpu():
    """While it restarts, with no process to be seen, the costs are its own, idle, also for a new agent."""
    server = Server().fold({"processes": (process(7),)}, chat={"pid": 7}, embed={"pid": 6})
    server.fold({"processes": ()}, embed={"pid": 6})
    server.books = server.books.reopened()
    server.fold({"processes": ()}, embed={"pid": 6})

    assert server.owners == {A: ("chat",)}
    assert server.books.total("idle_empty_joules", engine="chat") == 200


def test_an_engine_that_left_its_gpu_to_another_program_loses_it():
    """An engine that unloaded its model does not pay for what others do on the GPU then."""
    server = Server().fold({"processes": (process(7),)}, chat={"pid": 7}, embed={"pid": 6})
    server.fold({"processes": (process(99),)}, chat={"pid": 7}, embed={"pid": 6})

    assert server.owners == {A: ()}


def test_a_gpu_that_moves_to_another_engine_is_that_engine_s():
    """The process list is stronger than the past."""
    server = Server().fold({"processes": (process(7),)}, chat={"pid": 7}, embed={"pid": 6})
    server.fold({"processes": (process(6),)}, chat={"pid": 7}, embed={"pid": 6})

    assert server.owners == {A: ("embed",)}


def test_a_lost_gpu_keeps_its_owner():
    """A fault says nothing about who used a GPU."""
    server = Server().fold({"processes": (process(7),)}, chat={"pid": 7})
    server.fold({"fault": "lost"}, chat={"pid": 7})

    assert server.owners == {A: ("chat",)}
    assert server.seconds("chat") == 10


def test_a_gpu_that_was_lost_from_the_beginning_is_nobody_s():
    """Nothing is concluded from the silence of a broken GPU."""
    assert Server().fold({"fault": "lost"}, chat={}).owners == {A: ()}


# --- states ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "page", "state"),
    [
        ({"processes": (process(7),)}, {"pid": 7, "running": 1}, "active"),
        ({"processes": (process(7),)}, {"pid": 7, "running": 0}, "idle_loaded"),
        ({"processes": (process(7),), "utilization_ratio": 1.0}, {"pid": 7}, "idle_loaded"),
        ({"processes": ()}, {"pid": 7}, "idle_empty"),
        ({"processes": ()}, {}, "idle_loaded"),
        ({"processes": (process(8),), "utilization_ratio": 1.0}, None, "active"),
        ({"processes": (process(8),)}, None, "idle_loaded"),
        ({"processes": ()}, None, "idle_empty"),
    ],
)
def test_a_joule_has_the_state_of_its_engine(card, page, state):
    """The engine's word decides; an unloaded model shows in the list; a silent engine's GPU speaks for it."""
    server = Server(LedgerRules(configured_gpus={"chat": (0,)}), engines=("chat",))
    for _ in range(2):
        server.fold(card, **({} if page is None else {"chat": page}))

    assert server.books.total(f"{state}_joules", engine="chat") == 100


def test_of_several_silent_engines_nothing_is_known():
    """What a shared GPU does is no sign of one of its engines."""
    server = Server(LedgerRules(configured_gpus={"chat": (0,), "embed": (0,)}))
    card = {"utilization_ratio": 1.0}
    for _ in range(2):
        server.fold(card, embed={"running": 0})

    assert server.books.total("idle_empty_joules", engine="chat") == 50
    assert server.books.total("idle_loaded_joules", engine="embed") == 50


# --- two engines on one GPU --------------------------------------------------------------------------------


def shared(chat_bytes=None, embed_bytes=None):
    """Return a GPU with a process of each of two engines."""
    return {"processes": (process(7, memory=chat_bytes), process(6, memory=embed_bytes))}


def test_active_energy_is_shared_by_tokens_and_time_by_memory():
    """Who computed more pays more energy; who holds more memory holds more of the time."""
    server = Server()
    server.fold(shared(3, 1), chat={"pid": 7} | wrote(0), embed={"pid": 6} | wrote(0))
    server.fold(shared(3, 1), chat={"pid": 7} | wrote(10), embed={"pid": 6} | wrote(40))

    assert (server.joules("chat"), server.joules("embed")) == (20, 80)
    assert (server.seconds("chat"), server.seconds("embed")) == (7.5, 2.5)


def test_the_active_engine_alone_has_the_energy():
    """An idle neighbour pays for the memory that it holds, by time, and for no kernel."""
    server = Server()
    server.fold(shared(), chat={"pid": 7} | wrote(0), embed={"pid": 6} | wrote(0))
    server.fold(shared(), chat={"pid": 7} | wrote(10), embed={"pid": 6} | wrote(0))

    assert (server.joules("chat"), server.joules("embed")) == (100, 0)
    assert (server.seconds("chat"), server.seconds("embed")) == (5, 5)


def test_idle_energy_is_shared_by_memory():
    """With nobody active, the energy follows the memory."""
    server = Server()
    for _ in range(2):
        server.fold(shared(3, 1), chat={"pid": 7}, embed={"pid": 6})

    assert (server.joules("chat"), server.joules("embed")) == (75, 25)


def test_active_engines_without_tokens_share_evenly():
    """Two that prefill and have counted nothing yet are alike."""
    server = Server()
    for _ in range(2):
        server.fold(shared(), chat={"pid": 7, "running": 1}, embed={"pid": 6, "running": 1})

    assert (server.joules("chat"), server.joules("embed")) == (50, 50)


# --- no GPU ------------------------------------------------------------------------------------------------


def test_without_gpus_engines_share_the_time_by_tokens():
    """On a machine without GPUs, who computed more held it for longer; while all idle, evenly."""
    server = Server().fold(chat=wrote(0), embed=wrote(0)).fold(chat=wrote(1), embed=wrote(3))

    assert (server.seconds("chat"), server.seconds("embed")) == (2.5, 7.5)

    server.fold(chat=wrote(1), embed=wrote(3))

    assert (server.seconds("chat"), server.seconds("embed")) == (7.5, 12.5)


# --- models ------------------------------------------------------------------------------------------------


def page(**tokens):
    """Return an engine's page with models that read and wrote as much."""
    return {"models": [counters(name, read=read, wrote=wrote) for name, (read, wrote) in tokens.items()]}


def test_models_share_their_engine_by_weighted_tokens():
    """An input token weighs a fifth of an output token unless it is stated otherwise."""
    server = Server()
    server.fold({}, chat=page(small=(0, 0), large=(0, 0)))
    server.fold({}, chat=page(small=(5, 0), large=(0, 3)))

    assert server.books.joules("chat", "small") == pytest.approx(25)
    assert server.books.joules("chat", "large") == pytest.approx(75)


def test_stated_weights_are_used():
    """Weights are a setting."""
    server = Server(LedgerRules(weights=TokenWeights(input_weight=1.0, output_weight=1.0)))
    server.fold({}, chat=page(small=(0, 0), large=(0, 0)))
    server.fold({}, chat=page(small=(1, 0), large=(0, 3)))

    assert server.books.joules("chat", "small") == pytest.approx(25)


@pytest.mark.parametrize(
    ("counted", "shares"),
    [
        ({"small": (0, 10), "large": (0, 30)}, {"small": 25, "large": 75}),
        ({"small": (0, 0), "large": (0, 30)}, {"small": None, "large": 100}),
        ({"small": (0, 0), "large": (0, 0)}, {"small": 50, "large": 50}),
        ({}, {"": 100}),
    ],
)
def test_an_idle_engine_is_shared_by_all_that_its_models_counted(counted, shares):
    """While no token flows, models share by their counters; with none, evenly; no model is named ''."""
    server = Server()
    for _ in range(2):
        server.fold({}, chat=page(**counted))

    assert {name: server.books.joules("chat", name) for name in shares} == shares


def test_a_silent_engine_is_shared_as_before():
    """While an engine is down its models share as they did while it was idle."""
    server = Server().fold({}, chat=page(small=(0, 10), large=(0, 30))).fold({})

    assert server.books.joules("chat", "small") == 25
