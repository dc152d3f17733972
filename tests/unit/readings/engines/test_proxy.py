"""The proxy's page, read by the agent."""

from evenwatt.model import ModelCounters
from evenwatt.readings.discovery import command_kind
from evenwatt.readings.engines import fingerprint
from evenwatt.readings.engines.proxy import PROXY, counts_itself
from evenwatt.readings.exposition import checked_page, parse_samples


def series(name, value, **labels):
    """Return a line of the page."""
    owner = {
        "client": "other",
        "counted": "exact",
        "model": "m",
        "outcome": "completed",
        "place": "local",
    } | labels
    text = ",".join(f'{label}="{its}"' for label, its in sorted(owner.items()))
    return f"evenwatt_proxy_{name}{{{text}}} {value}\n"


PAGE = (
    "# HELP evenwatt_proxy_tokens_total Tokens.\n"
    + series("tokens_total", 10, type="input")
    + series("tokens_total", 4, type="cached_input")
    + series("tokens_total", 5, type="output")
    + series("tokens_total", 7, type="output", outcome="aborted", counted="lower_bound", client="team")
    + series("requests_total", 2)
    + series("requests_total", 1, outcome="aborted", counted="lower_bound", client="team")
    + series("requests_total", 3, model="unknown", outcome="failed")
    + series("tokens_total", 0, model="unknown", outcome="failed", type="input")
    + series("tokens_total", 99, type="output", place="remote", model="big-cloud")
    + series("requests_total", 9, place="remote", model="big-cloud")
    + "evenwatt_proxy_requests_running 1.0\n"
    + "evenwatt_proxy_counting_since_timestamp_seconds 1.7956337879517488e+09\n"
    + 'evenwatt_proxy_upstream_info{engine="ollama",upstream="http://127.0.0.1:11435"} 1.0\n'
).encode()


def samples():
    """Return what the adapter wants of the page."""
    return parse_samples(checked_page(PAGE), PROXY.wanted)


def test_tokens_of_all_clients_and_outcomes_add_up_by_model():
    """What a cut-off answer is known to have taken counts too; other machines' tokens took no energy here."""
    assert PROXY.models(samples(), "") == (
        ModelCounters(
            model="m",
            input_tokens=10,
            cached_input_tokens=4,
            output_tokens=12,
            requests={"completed": 2, "aborted": 1},
        ),
    )


def test_the_identity_is_the_beginning_of_the_totals():
    """Not the process, which may be started again and goes on with them."""
    assert PROXY.signals(samples(), {}) == {"start_time": "1795633787.9517488"}


def test_the_page_is_known_by_its_series():
    """And says where the engine is."""
    assert fingerprint(PAGE) == "proxy"
    assert PROXY.engine_url(samples()) == "http://127.0.0.1:11435"


def test_a_proxy_before_an_engine_with_its_own_page_is_not_taken_on_by_itself():
    """One of the two is enough, and whoever wants the proxy's names it."""
    assert not counts_itself(PAGE)
    assert counts_itself(PAGE.replace(b'engine="ollama"', b'engine="vllm"'))


def test_a_proxy_is_known_by_its_command_line():
    """As a script and as a module."""
    assert command_kind(["/usr/bin/python3", "/usr/bin/evenwatt", "proxy", "--upstream", "x"]) == "proxy"
    assert command_kind(["python3", "-m", "evenwatt", "proxy"]) == "proxy"
    assert command_kind(["python3", "-m", "evenwatt", "run"]) is None
