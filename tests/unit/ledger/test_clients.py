"""Tokens by client: the same rules as for models, and together what the models did."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from evenwatt.ledger import ClientUse, Ledger, LedgerRules
from evenwatt.ledger.clients import MOST_LABELS
from evenwatt.ledger.entries import add_rows
from evenwatt.model import ClientCounters, EngineReading, Epoch, ModelCounters, Moment

START = 1_800_000_000


def at(seconds):
    """Return a moment so many seconds after the start."""
    return Moment(utc_seconds=START + seconds, boot_seconds=1_000.0 + seconds, boot_id="boot")


def reading(seconds, clients, *, epoch="1"):
    """Return what an engine says: tokens of output by (model, client), and for models what they add up to."""
    by_model = {}
    for (model, _), tokens in clients.items():
        by_model[model] = by_model.get(model, 0) + tokens
    return EngineReading(
        engine="e",
        kind="proxy",
        moment=at(seconds),
        epoch=Epoch(signals={"start_time": epoch}),
        models=tuple(counters(model, tokens) for model, tokens in by_model.items()),
        clients=tuple(
            ClientCounters(client=client, counters=counters(model, tokens))
            for (model, client), tokens in clients.items()
        ),
    )


def counters(model, tokens):
    """Return the counters of a model that generated so many tokens, one a request."""
    return ModelCounters(model=model, input_tokens=0, output_tokens=tokens, requests={"completed": tokens})


def folded(*readings, cursors=None):
    """Return the clients' rows that readings come to, by (model, client), and the cursors after them."""
    ledger = Ledger(LedgerRules(), cursors=cursors or {}, models={})
    rows, after = {}, dict(cursors or {})
    for one in readings:
        posting = ledger.fold(one.moment, [one], engines=["e"])
        after |= posting.cursors
        for (_, engine, model, client), use in posting.clients.items():
            assert engine == "e"
            add_rows(rows.setdefault((model, client), ClientUse()), use)
    return {owner: use.output_tokens for owner, use in rows.items() if use.output_tokens}, after


def test_what_was_there_at_first_sight_counts_nothing():
    """A baseline; then each client's increase is its own."""
    found, _ = folded(
        reading(0, {("m", "a"): 100, ("m", "b"): 10}),
        reading(10, {("m", "a"): 105, ("m", "b"): 10}),
        reading(20, {("m", "a"): 105, ("m", "b"): 17, ("m", "c"): 3}),
    )

    assert found == {("m", "a"): 5, ("m", "b"): 7, ("m", "c"): 3}


def test_a_stored_cursor_goes_on_where_it_stood():
    """After a restart of the agent nothing is lost and nothing counted twice."""
    _, cursors = folded(reading(0, {("m", "a"): 100}), reading(10, {("m", "a"): 105}))

    found, _ = folded(reading(20, {("m", "a"): 109}), cursors=cursors)

    assert found == {("m", "a"): 4}


def test_other_totals_count_from_zero():
    """A state folder that was begun anew."""
    found, _ = folded(reading(0, {("m", "a"): 100}), reading(10, {("m", "a"): 7}, epoch=str(START + 5)))

    assert found == {("m", "a"): 7}


def test_an_engine_without_clients_has_no_rows():
    """Nothing is made up for engines that do not tell them apart."""
    found, cursors = folded(*(replace(reading(s, {("m", "a"): s}), clients=None) for s in (0, 10)))

    assert found == {}
    assert not any(key.startswith("clients:") for key in cursors)


def test_a_client_of_an_engine_that_had_none_before_counts_from_zero():
    """The first page told clients apart and had none: all that a later one has is new."""
    found, _ = folded(reading(0, {}), reading(10, {("m", "a"): 7}))

    assert found == {("m", "a"): 7}


def test_more_clients_than_the_bound_share_other():
    """Hostile names cost a bounded number of rows, and no token is lost."""
    many = {("m", f"c{number}"): 1 for number in range(MOST_LABELS + 50)}

    found, _ = folded(reading(0, {("m", "a"): 1}), reading(10, {("m", "a"): 1} | many))

    assert sum(found.values()) == MOST_LABELS + 50
    assert len(found) <= MOST_LABELS + 1
    assert found["other", "other"] > 0


@given(
    st.lists(
        st.dictionaries(
            st.tuples(st.sampled_from(["m", "n", '["x"]']), st.sampled_from(["a", "b", "other", "\x1f"])),
            st.integers(0, 50),
            max_size=6,
        ),
        max_size=8,
    )
)
def test_clients_add_up_to_their_models(steps):
    """Over any readings: what the clients of a model had is what the model did."""
    totals, readings = {("m", "a"): 1}, [reading(0, {("m", "a"): 1})]
    for number, step in enumerate(steps, start=1):
        totals = totals | {owner: totals.get(owner, 0) + more for owner, more in step.items()}
        readings.append(reading(10 * number, totals))
    ledger = Ledger(LedgerRules(), cursors={}, models={})
    by_model, by_client = {}, {}
    for one in readings:
        posting = ledger.fold(one.moment, [one], engines=["e"])
        for (_, _, model), usage in posting.usage.items():
            by_model[model] = by_model.get(model, 0) + (usage.output_tokens or 0)
        for (_, _, model, _), use in posting.clients.items():
            by_client[model] = by_client.get(model, 0) + (use.output_tokens or 0)

    assert {m: t for m, t in by_model.items() if t} == {m: t for m, t in by_client.items() if t}
