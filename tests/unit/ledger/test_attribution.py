"""Whose joules and seconds: owners of GPUs, shares of engines and models, states."""

import pytest
from msgspec.structs import replace

from evenwatt.ledger import LedgerRules, TokenWeights
from evenwatt.model import GpuInstance, VisibleGpus
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


def test_an_engine_that_is_said_to_use_no_gpu_gets_none():
    """An empty list is a statement too: what its processes use all the same is nobody's."""
    server = Server(LedgerRules(configured_gpus={"chat": ()}))
    for _ in range(2):
        server.fold({"processes": (process(7),)}, chat={"pid": 7})

    assert server.owners == {A: ()}
    assert server.joules("unallocated") == 100


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
        ({}, {"is_unloaded": True}, "idle_empty"),
        ({"processes": (process(7),)}, {"pid": 7, "is_unloaded": True}, "idle_empty"),
        ({"processes": (process(7),)}, {"pid": 7, "is_unloaded": True, "running": 1}, "active"),
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


# --- SM activity, other programs ---------------------------------------------------------------------------


def busy(chat, embed, *others):
    """Return a GPU whose processes kept so much of its multiprocessors busy, and held as much memory each."""
    ours = (process(7, memory=4, sm=chat), process(6, memory=4, sm=embed))
    return {"processes": (*ours, *(process(90 + n, memory=4, sm=sm) for n, sm in enumerate(others)))}


def test_active_energy_is_shared_by_sm_activity_where_it_is_told():
    """What the driver measured is better than tokens, which say nothing of the size of a model."""
    server = Server()
    server.fold(busy(0.6, 0.2), chat={"pid": 7} | wrote(0), embed={"pid": 6} | wrote(0))
    server.fold(busy(0.6, 0.2), chat={"pid": 7} | wrote(1), embed={"pid": 6} | wrote(999))

    assert (server.joules("chat"), server.joules("embed")) == pytest.approx((75, 25), rel=1e-12)
    assert (server.seconds("chat"), server.seconds("embed")) == (5, 5)


def test_other_programs_have_their_part_of_energy_and_time():
    """A game beside an engine pays its own kernels and its own memory, to nobody's account."""
    server = Server()
    for tokens in (0, 1):
        server.fold(busy(0.3, 0.1, 0.6), chat={"pid": 7} | wrote(tokens), embed={"pid": 6})

    shares = {"chat": 30, "embed": 10, "unallocated": 60}
    assert {name: server.joules(name) for name in shares} == pytest.approx(shares, rel=1e-12)
    assert server.seconds("unallocated") == pytest.approx(10 / 3)
    assert server.books.total("active_joules", engine="unallocated") == pytest.approx(60)


def test_an_idle_program_beside_an_engine_pays_its_memory_only():
    """What only holds memory has a share of the time, and of the energy while nothing computes."""
    server = Server()
    card = {"processes": (process(7, memory=3, sm=0.5), process(99, memory=1, sm=0.0))}
    idle = {"processes": (process(7, memory=3, sm=0.0), process(99, memory=1, sm=0.0))}
    server.fold(card, chat={"pid": 7, "running": 1}).fold(card, chat={"pid": 7, "running": 0})

    assert (server.joules("chat"), server.joules("unallocated")) == (100, 0)
    assert (server.seconds("chat"), server.seconds("unallocated")) == (7.5, 2.5)

    server.fold(idle, chat={"pid": 7, "running": 0})

    assert (server.joules("chat"), server.joules("unallocated")) == (175, 25)
    assert server.books.total("idle_loaded_joules", engine="unallocated") == 25


def test_without_sm_activity_other_programs_get_no_active_energy():
    """Whose kernels ran is then not known, and the engine's tokens are all there is."""
    server = Server()
    card = {"processes": (process(7, memory=3), process(99, memory=1))}
    server.fold(card, chat={"pid": 7} | wrote(0)).fold(card, chat={"pid": 7} | wrote(5))

    assert (server.joules("chat"), server.joules("unallocated")) == (100, 0)
    assert (server.seconds("chat"), server.seconds("unallocated")) == (7.5, 2.5)


def test_a_percent_of_sm_activity_shares_nothing():
    """Below what whole percents can tell, tokens decide."""
    server = Server()
    for tokens in (0, 10):
        server.fold(busy(0.0, 0.01), chat={"pid": 7} | wrote(tokens), embed={"pid": 6})

    assert (server.joules("chat"), server.joules("embed")) == (100, 0)


def test_where_memory_is_not_told_all_hold_alike():
    """Unknown memory is not no memory."""
    server = Server()
    card = {"processes": (process(7), process(99, memory=1 << 30))}
    for _ in range(2):
        server.fold(card, chat={"pid": 7})

    assert (server.seconds("chat"), server.seconds("unallocated")) == (5, 5)


def test_an_engine_that_does_not_answer_is_known_by_the_process_that_it_had():
    """A page that hangs under load is no reason to give its joules to its neighbour, or to nobody."""
    server = Server().fold(busy(0.6, 0.2), chat={"pid": 7}, embed={"pid": 6, "running": 1})
    server.books = server.books.reopened()
    server.fold(busy(0.6, 0.2, 0.2), embed={"pid": 6, "running": 1})

    assert server.owners == {A: ("chat", "embed")}
    assert server.books.total("active_joules", engine="chat") == pytest.approx(60)


def test_a_process_number_of_an_earlier_boot_is_nobody_s():
    """After a reboot another program may have the number of an engine that did not come back."""
    books = Server().fold(busy(0.6, 0.2), chat={"pid": 7}, embed={"pid": 6}).books
    card = gpu(at(20, boot="boot-2", uptime=5), 3.0, uuid=A, **busy(0.6, 0.2))
    books.fold(at(20, boot="boot-2", uptime=5), gpus(card))

    assert books.total("active_joules", engine="chat") is None


def test_a_configured_engine_shares_its_gpu_with_one_that_is_seen_on_it():
    """To say whose a GPU is does not make another engine's processes there disappear."""
    server = Server(LedgerRules(configured_gpus={"chat": (0,)}))
    for _ in range(2):
        server.fold(shared(3, 1), chat={"pid": 7}, embed={"pid": 6})

    assert server.owners == {A: ("chat", "embed")}
    assert (server.joules("chat"), server.joules("embed")) == (75, 25)


def test_a_gateway_that_is_made_the_meter_pays_for_the_gpu_of_the_engine_behind_it():
    """Whoever wants its clients says so at both, and which GPU it is about."""
    rules = LedgerRules(in_totals={"gate": True, "chat": False}, configured_gpus={"gate": (0,)})
    server = Server(rules)
    for tokens in (0, 5):
        server.fold(
            {"processes": (process(7),)}, chat={**wrote(tokens), "pid": 7}, gate={**wrote(tokens), "pid": 6}
        )

    assert (server.joules("gate"), server.joules("chat"), server.joules("unallocated")) == (100, 0, 0)
    assert server.books.total("output_tokens") == 5


def test_an_unloaded_engine_beside_a_loaded_one_is_empty():
    """Its own process would be recognised where another one's is."""
    server = Server(LedgerRules(configured_gpus={"chat": (0,), "embed": (0,)}))
    for _ in range(2):
        server.fold({"processes": (process(6, memory=1),)}, chat={"pid": 7}, embed={"pid": 6})

    assert server.books.total("idle_empty_seconds", engine="chat") == 0
    assert server.books.total("idle_loaded_joules", engine="embed") == 100


# --- container, unit, environment --------------------------------------------------------------------------


def test_a_process_in_an_engine_s_container_or_unit_is_the_engine_s():
    """Where the one that listens and the one that computes are siblings, they still share a cgroup."""
    server = Server()
    card = {"processes": (process(9, below=(5, 1), body="tgi.service"),)}
    server.fold(card, chat={"pid": 7, "body": "tgi.service"}, embed={"pid": 6, "body": "x.service"})

    assert server.owners == {A: ("chat",)}


def test_a_unit_of_two_engines_tells_nothing():
    """In a container with two engines only the process tree tells them apart."""
    server = Server()
    pages = {"chat": {"pid": 7, "body": "all.service"}, "embed": {"pid": 6, "body": "all.service"}}
    server.fold({"processes": (process(9, below=(5, 1), body="all.service"),)}, **pages)

    assert server.owners == {A: ()}

    server.fold({"processes": (process(9, below=(6, 1), body="all.service"),)}, **pages)

    assert server.owners == {A: ("embed",)}


def sees(*cuda, container=None, pci=False):
    """Return what an engine's environment says."""
    return VisibleGpus(container=container, cuda=cuda or None, is_pci_order=pci)


@pytest.mark.parametrize(
    ("visible", "owned"),
    [
        (sees("1"), (B,)),
        (sees("1", "0"), (A, B)),
        (sees("GPU-b"), (B,)),
        (sees("GPU-"), ()),
        (sees("0", "-1", "1"), (A,)),
        (sees("7"), ()),
        (sees("0", container=("1",)), (B,)),
        (sees("0", container=("GPU-b", "GPU-a")), (B,)),
        (sees(container=("1",)), (B,)),
        (sees("1", container=("all",)), (B,)),
        (sees(container=("all",)), ()),
        (VisibleGpus(cuda=()), ()),
    ],
)
def test_an_environment_tells_gpus_where_processes_cannot_be_traced(visible, owned):
    """CUDA's numbers count among what the container was given, and end at the first that means nothing."""
    server = Server().fold({}, {}, chat={"pid": 7, "visible_gpus": visible}, embed={"pid": 6})

    assert {uuid for uuid, engines in server.owners.items() if engines == ("chat",)} == set(owned)


def test_numbers_of_different_cards_need_the_driver_s_order():
    """CUDA counts the fastest first unless it is told to count by bus."""
    moment = at(0)
    listing = gpus(gpu(moment, 0.0, uuid=A), replace(gpu(moment, 0.0, uuid=B, index=1), name="Other"))
    for is_pci, owned in ((False, ()), (True, ("chat",))):
        books = Books()
        page = reading(moment, "chat", pid=7, visible_gpus=sees("0", pci=is_pci))
        books.fold(moment, page, reading(moment, "embed", pid=6), listing)

        assert books.ledger.gpu_owners[A] == owned


def test_a_process_that_is_traced_is_better_than_an_environment():
    """What runs on a GPU decides where it can be seen."""
    server = Server()
    card = {"processes": (process(6, below=(1,)),)}
    server.fold(card, chat={"pid": 7, "visible_gpus": sees("0")}, embed={"pid": 6})

    assert server.owners == {A: ("embed",)}


def test_the_only_engine_has_no_gpu_that_its_environment_denies_it():
    """One engine that was started with one GPU of two is not given the other one."""
    server = Server().fold({}, {}, chat={"pid": 7, "visible_gpus": sees("1")})

    assert server.owners == {A: (), B: ("chat",)}


# --- MIG ---------------------------------------------------------------------------------------------------


def divided(*instances, slices=7):
    """Return a card in MIG mode, its instances given as (slices, processes)."""
    parts = tuple(
        GpuInstance(uuid=f"MIG-{number}", compute_slices=count, processes=processes)
        for number, (count, processes) in enumerate(instances)
    )
    return {"instances": parts, "compute_slices": slices}


def test_a_card_in_mig_mode_is_shared_by_compute_slices_and_marked_estimated():
    """There is one power sensor for all instances; what no instance or no engine has is nobody's."""
    server = Server()
    card = divided((3, (process(7, memory=1),)), (2, (process(6, memory=9),)), (1, ()))
    for _ in range(2):
        server.fold(card, chat={"pid": 7, "running": 1}, embed={"pid": 6, "running": 0})

    shares = {"chat": 300 / 7, "embed": 200 / 7, "unallocated": 200 / 7}
    assert server.owners == {A: ("chat", "embed")}
    assert {name: server.joules(name) for name in shares} == pytest.approx(shares, rel=1e-12)
    assert {name: server.seconds(name) * 10 for name in shares} == pytest.approx(shares, rel=1e-12)
    assert server.books.total("active_joules", engine="chat") == pytest.approx(300 / 7)
    assert server.books.total("idle_loaded_joules", engine="embed") == pytest.approx(200 / 7)
    assert server.books.total("idle_empty_joules", engine="unallocated") == pytest.approx(200 / 7)
    assert all(row.estimated for row in server.books.rows())
    assert not any(row.estimated for row in server.books.posted.gpus.values())


def test_two_engines_on_one_instance_share_it_as_they_would_a_card():
    """MIG tells no SM activity by process, so tokens and memory decide within an instance."""
    server = Server()
    card = divided((7, (process(7, memory=3), process(6, memory=1))))
    server.fold(card, chat={"pid": 7} | wrote(0), embed={"pid": 6} | wrote(0))
    server.fold(card, chat={"pid": 7} | wrote(10), embed={"pid": 6} | wrote(40))

    assert (server.joules("chat"), server.joules("embed")) == (20, 80)
    assert (server.seconds("chat"), server.seconds("embed")) == (7.5, 2.5)


def test_an_instance_can_be_configured():
    """`gpus:` may name an instance, or the card, whose every part is then the engine's."""
    card = divided((4, None), (2, None))
    one = Server(LedgerRules(configured_gpus={"chat": ("MIG-1",)}))
    whole = Server(LedgerRules(configured_gpus={"chat": (0,)}))
    for _ in range(2):
        one.fold(card, chat={}, embed={"pid": 6})
        whole.fold(card, chat={}, embed={"pid": 6})

    assert one.joules("chat") == pytest.approx(200 / 7)
    assert whole.joules("chat") == pytest.approx(100)


def test_an_environment_may_name_an_instance():
    """CUDA_VISIBLE_DEVICES takes UUIDs of instances."""
    server = Server()
    card = divided((4, None), (3, None))
    for _ in range(2):
        server.fold(card, chat={"pid": 7, "visible_gpus": sees("MIG-1")}, embed={"pid": 6})

    assert server.joules("chat") == pytest.approx(300 / 7)


def test_an_engine_that_is_down_keeps_its_instance():
    """While it restarts its instance costs what it costs, also for a new agent."""
    server = Server()
    card, empty = divided((4, (process(7),)), (3, (process(6),))), divided((4, ()), (3, (process(6),)))
    server.fold(card, chat={"pid": 7}, embed={"pid": 6}).fold(empty, embed={"pid": 6})
    server.books = server.books.reopened()
    server.fold({"fault": "lost"}, embed={"pid": 6}).fold(empty, embed={"pid": 6})

    assert server.books.total("idle_empty_joules", engine="chat") > 0
    assert server.owners == {A: ("chat", "embed")}


# --- no GPU ------------------------------------------------------------------------------------------------


def test_without_gpus_engines_share_the_time_by_tokens():
    """On a machine without GPUs, who computed more held it for longer; while all idle, evenly."""
    server = Server().fold(chat=wrote(0), embed=wrote(0)).fold(chat=wrote(1), embed=wrote(3))

    assert (server.seconds("chat"), server.seconds("embed")) == (2.5, 7.5)

    server.fold(chat=wrote(1), embed=wrote(3))

    assert (server.seconds("chat"), server.seconds("embed")) == (7.5, 12.5)


@pytest.mark.parametrize(("is_unloaded", "state"), [(False, "idle_loaded"), (True, "idle_empty")])
def test_without_gpus_an_engine_says_itself_whether_a_model_is_in_memory(is_unloaded, state):
    """One that sleeps, or has loaded none, is empty."""
    server = Server()
    for _ in range(2):
        server.fold(chat={"is_unloaded": is_unloaded})

    assert server.books.total(f"{state}_seconds", engine="chat") == 10


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


def timed(**models):
    """Return a page of models that have read, written and spent so many seconds in prefill and decode."""
    return {
        "models": [
            counters(name, read=read, wrote=wrote, prefill=prefill, decode=decode)
            for name, (read, wrote, prefill, decode) in models.items()
        ]
    }


def test_tokens_weigh_what_the_engine_s_own_times_say():
    """Of two models the slower one's token is the dearer one, whatever the settings say."""
    server = Server(LedgerRules(weights=TokenWeights(input_weight=1.0, output_weight=1.0)))
    server.fold({}, chat=timed(small=(1000, 100, 1.0, 1.0), large=(1000, 100, 4.0, 9.0)))
    server.fold({}, chat=timed(small=(1000, 200, 1.0, 2.0), large=(1000, 200, 4.0, 18.0)))

    assert server.books.joules("chat", "small") == pytest.approx(10)
    assert server.books.joules("chat", "large") == pytest.approx(90)


def test_a_model_whose_times_are_not_known_yet_weighs_as_the_engine_does():
    """Times are counted when a request ends; a model's first tokens are not free until then."""
    server = Server()
    server.fold({}, chat=timed(small=(100, 100, 1.0, 4.0), new=(0, 0, 0.0, 0.0)))
    server.fold({}, chat=timed(small=(200, 100, 2.0, 4.0), new=(0, 75, 0.0, 0.0)))

    # 100 x 0.01 s for what was read; 75 x 0.04 s, as output takes on average, for what was written.
    assert server.books.joules("chat", "small") == pytest.approx(100 * 1.0 / (1.0 + 75 * 4 / 175))
    assert server.books.joules("chat", "small") + server.books.joules("chat", "new") == pytest.approx(100)


def test_an_embedding_model_pays_for_what_it_reads():
    """A model that generates nothing has its share all the same, and is at work while it reads."""
    server = Server()
    server.fold({}, chat=page(embed=(0, 0), large=(0, 0)))
    server.fold({}, chat=page(embed=(500, 0), large=(0, 100)))

    assert server.books.joules("chat", "embed") == pytest.approx(50)
    assert server.books.total("active_joules", engine="chat") == pytest.approx(100)
