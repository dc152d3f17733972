"""The section of the proxies: what it takes, and every fault in words."""

import pytest

from config_fixtures import faults_in, settings_of
from evenwatt.config import default_proxy_state, parse_proxy
from evenwatt.errors import ConfigError

WHOLE = """
    proxy:
      - name: ollama
        upstream: http://127.0.0.1:11435/
        clients:
          - {name: a, api_key: secret-a}
          - {header: X-Team}
          - {name: home, network: 10.0.0.0/8}
          - {user: "*"}
      - name: chat
        upstream: unix:/run/vllm.sock
        listen: 127.0.0.1:8000
        metrics_listen: 127.0.0.1:9789
        ask_for_usage: false
        engine: vllm
"""


def test_defaults_are_those_of_a_proxy_before_ollama():
    """Loopback, Ollama's port, and everything else as it needs to be."""
    first, second = settings_of(WHOLE).proxy

    assert str(first.listen) == "127.0.0.1:11434"
    assert str(first.metrics_listen) == "127.0.0.1:9788"
    assert first.upstream == "http://127.0.0.1:11435"
    assert (first.engine, first.ask_for_usage, first.keep_host) == ("auto", True, True)
    assert (second.engine, second.ask_for_usage, second.upstream) == ("vllm", False, "unix:/run/vllm.sock")


def test_keys_of_clients_are_secrets():
    """They are not shown."""
    settings = settings_of(WHOLE)

    assert settings.proxy[0].clients[0].api_key.get_secret_value() == "secret-a"
    assert "secret-a" not in repr(settings)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("{name: a}", "proxy[0].upstream: missing"),
        ("{name: a, upstream: ftp://x}", "expected http://host:port, https://host:port or unix:/path"),
        ("{name: a, upstream: unix:relative}", "expected http://host:port"),
        ("{name: a, upstream: http://x, engine: best}", "expected auto, ollama"),
        ("{name: a, upstream: http://x, keep_host: perhaps}", "expected true or false"),
        ("{name: a, upstream: http://x, listn: b}", "did you mean listen?"),
        ("{name: a, upstream: http://x, clients: [{name: b}]}", "missing; write what tells this client"),
        ("{name: a, upstream: http://x, clients: [{network: 10.0.0.1/8}]}", "without host bits"),
        ("{name: a, upstream: http://x, clients: [{network: 10.0.0.0/8}]}", "can name a client by itself"),
        ("{name: a, upstream: http://x, clients: [{name: b, value: c, user: d}]}", "write the header"),
        ("{name: a, upstream: http://x, clients: [{name: b, header: 'X A'}]}", "the name of a header"),
    ],
)
def test_faults_are_told_in_words(entry, fault):
    """What was found, what is expected, and where."""
    (told,) = faults_in(f"proxy: [{entry}]")

    assert fault in told


def test_two_proxies_do_not_share_a_name_or_an_address():
    """Each has its own, also where one's page would be the other's clients'."""
    faults = faults_in(
        """
        proxy:
          - {name: a, upstream: http://x}
          - {name: a, upstream: http://y, listen: "127.0.0.1:9788", metrics_listen: "127.0.0.1:9789"}
        """
    )

    assert len(faults) == 2
    assert "proxy[1].name: got a, the same as an earlier one" in faults[0] + faults[1]
    assert "proxy[1].listen: got 127.0.0.1:9788, the same as" in faults[0] + faults[1]


def test_options_of_the_command_are_judged_like_the_file():
    """All faults at once, under the options' names."""
    with pytest.raises(ConfigError) as error:
        parse_proxy({"name": "proxy", "upstream": "ftp://x", "listen": "nonsense", "engine": "auto"})

    assert [fault.partition(":")[0] for fault in error.value.faults] == ["--upstream", "--listen"]


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "10.0.0.1", "myhost"])
def test_totals_are_not_shown_to_other_machines_unasked(host):
    """Who asked for how much is nobody else's business, and no password is asked; told so, it may be open."""
    address = f'metrics_listen: "{host}:9788"'
    (fault,) = faults_in(f"proxy: [{{name: a, upstream: http://x, {address}}}]")
    assert "proxy[0].metrics_listen: got " in fault
    assert "where other machines can read who asked for how much" in fault
    assert "metrics_open_to_all: true" in fault
    with pytest.raises(ConfigError) as error:
        parse_proxy({"name": "a", "upstream": "http://x", "metrics_listen": f"{host}:9788"})
    (fault,) = error.value.faults
    assert fault.startswith("--metrics-listen: got ")
    assert "write --metrics-open-to-all if" in fault

    (told,) = settings_of(
        f"proxy: [{{name: a, upstream: http://x, {address}, metrics_open_to_all: true}}]"
    ).proxy

    assert not told.metrics_listen.is_loopback


def test_totals_lie_beside_the_history(monkeypatch, tmp_path):
    """In systemd's state folder where there is one, each proxy's in a folder of its own."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))

    assert default_proxy_state("ollama") == tmp_path / "proxy" / "ollama"


def test_a_password_in_the_address_of_an_engine_is_not_shown():
    """Not in a fault of an option either."""
    with pytest.raises(ConfigError) as error:
        parse_proxy({"name": "a", "upstream": "http://me:hunter2@host"})

    (fault,) = error.value.faults
    assert fault.startswith("--upstream: got http://<secret>@host, expected http://host:port")
