"""Clients: named by rules, bounded, and their keys nowhere."""

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from evenwatt.proxy.clients import OTHER_CLIENT, ClientNamer, ClientRule, key_digest

SECRET = b"s" * 32


def named(*rules, headers=None, address="127.0.0.1", user=None):
    """Return the name that rules give a request."""
    in_lower_case = {name.lower(): value for name, value in (headers or {}).items()}
    return ClientNamer(rules, SECRET).name(in_lower_case, address, user)


def test_without_a_rule_everybody_is_other():
    """There is one label, and no guess."""
    assert named() == OTHER_CLIENT


def test_a_key_names_its_client_in_every_header_that_carries_keys():
    """As OpenAI's, Anthropic's and Azure's clients send it."""
    rule = ClientRule(name="team", api_key="k1")

    assert named(rule, headers={"Authorization": "Bearer k1"}) == "team"
    assert named(rule, headers={"authorization": "bearer  k1"}) == "team"
    assert named(rule, headers={"X-Api-Key": "k1"}) == "team"
    assert named(rule, headers={"api-key": "k1"}) == "team"
    assert named(rule, headers={"X-Api-Key": "k2"}) == OTHER_CLIENT
    assert named(rule) == OTHER_CLIENT


def test_no_key_is_kept():
    """What is held is its keyed hash, and a rule does not show it."""
    rule = ClientRule(name="team", api_key="very-secret")
    namer = ClientNamer((rule,), SECRET)

    assert "very-secret" not in repr(rule)
    assert "very-secret" not in repr(vars(namer))
    assert key_digest(SECRET, "a") != key_digest(b"t" * 32, "a")


def test_the_first_rule_that_fits_whole_holds():
    """All that a rule asks for has to fit."""
    rules = (
        ClientRule(name="ci at home", header="X-Job", value="ci", network=ip_network("10.0.0.0/8")),
        ClientRule(name="ci", header="X-Job", value="ci"),
        ClientRule(header="X-Job"),
        ClientRule(has_user=True),
        ClientRule(name="home", network=ip_network("10.0.0.0/8")),
    )

    assert named(*rules, headers={"X-Job": "ci"}, address="10.1.2.3") == "ci at home"
    assert named(*rules, headers={"X-Job": "ci"}, address="192.168.0.1") == "ci"
    assert named(*rules, headers={"X-Job": "nightly"}) == "nightly"
    assert named(*rules, user="ann") == "ann"
    assert named(*rules, address="::ffff:10.0.0.1") == "home"
    assert named(*rules, address=None) == OTHER_CLIENT


def test_names_that_clients_make_up_are_bounded():
    """A hundred labels, then other; those that have totals stay."""
    namer = ClientNamer((ClientRule(header="X-Team"),), SECRET, frozenset({"known"}))

    names = {namer.name({"x-team": f"t{number}"}, None, None) for number in range(500)}

    assert len(names) == 100
    assert OTHER_CLIENT in names
    assert namer.name({"x-team": "known"}, None, None) == "known"


@given(st.text(max_size=400))
def test_any_text_makes_a_label(text):
    """Hostile text is bounded and valid Unicode."""
    name = ClientNamer((ClientRule(has_user=True),), SECRET).name({}, None, text or "x")

    assert 0 < len(name) <= 256
    assert name.encode()
