"""A message on its way: what is sent, what is tried again, and what is never told of it."""

import json
import subprocess
import sys

import pytest

from evenwatt.sinks.alerts.delivery import send, without_secrets
from loopback_servers import Listening
from message_receiver import MessageReceiver

ALERT = {
    "status": "firing",
    "labels": {"alertname": "A", "severity": "warning"},
    "annotations": {"summary": "s"},
    "startsAt": "2026-01-01T00:00:00.000+00:00",
    "endsAt": "2026-01-01T01:00:00.000+00:00",
    "fingerprint": "f",
}
MESSAGE = {"title": "T", "text": "body", "kind": "warning", "alerts": [ALERT]}


def order(url, kind="webhook", **values):
    """Return an order."""
    return {"name": "n", "kind": kind, "url": url, "token": None, "message": MESSAGE, **values}


@pytest.fixture
def receiver():
    """The far end."""
    with MessageReceiver() as running:
        yield running


def test_a_webhook_gets_what_alertmanager_would_send_with_title_and_text(receiver):
    """Receivers of Alertmanager's webhooks understand it, and those that show `text` too."""
    send(order(f"{receiver.url}/hook?x=1".replace("//", "//ann:pass%40word@"), seconds=1), seconds=1)

    ((path, headers, document),) = receiver.received
    assert path == "/hook?x=1"
    assert headers["authorization"] == "Basic YW5uOnBhc3NAd29yZA=="
    assert (document["version"], document["status"], document["title"]) == ("4", "firing", "T")
    assert document["text"] == "T\nbody"
    assert document["alerts"] == [ALERT]
    assert document["commonLabels"] == ALERT["labels"]


def test_what_is_refused_is_not_tried_again(receiver):
    """A wrong address or token stays wrong; whoever reads the reason can mend it."""
    receiver.status = 404

    with pytest.raises(Exception, match="HTTP 404"):
        send(order(receiver.url), seconds=5)
    assert len(receiver.received) == 1


def test_a_server_in_trouble_is_tried_again_for_a_while(receiver):
    """It is tried more than once, and then given up."""
    receiver.status = 503

    with pytest.raises(Exception, match="HTTP 503"):
        send(order(receiver.url), seconds=2)
    assert len(receiver.received) > 1


@pytest.mark.parametrize(("kind", "status"), [("webhook", 0), ("alertmanager", 0), ("apprise", 1)], ids=str)
def test_an_answer_without_end_costs_the_machine_nothing(kind, status):
    """What nobody reads is not waited for; what apprise reads has a bound, and so has the memory for it."""
    with Listening(_talk_without_end) as server:
        url = server.url if kind != "apprise" else server.url.replace("http", "json")
        done = delivered(order(f"{url}/S3CRET", kind, seconds=0))

    assert done.returncode == status, done.stderr
    assert bool(done.stdout) is bool(status)
    assert "S3CRET" not in done.stdout


def delivered(an_order):
    """Let a process of its own deliver an order, as the agent does."""
    return subprocess.run(
        [sys.executable, "-m", "evenwatt.sinks.alerts.delivery"],
        input=json.dumps(an_order),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _talk_without_end(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(2_048):
        connection.sendall(bytes(2**20))


@pytest.mark.parametrize("kind", ["apprise", "webhook", "alertmanager"])
def test_reasons_have_no_secrets(kind):
    """Neither the address nor a part of it is in what is told."""
    url = "https://user:passw0rd@hooks.example/services/T0KENONE/b%40d?key=querysecret"
    said = f"Max retries with url: {url}; /services/T0KENONE/b@d and passw0rd and querysecret and tokentoken"

    text = without_secrets(said, order(url, kind, token="tokentoken"))

    for secret in ("passw0rd", "T0KENONE", "b@d", "querysecret", "tokentoken"):
        assert secret not in text or len(secret) < 4


def test_an_address_that_apprise_does_not_know_is_not_repeated():
    """Not even the ends of its parts, which apprise itself shows."""
    done = delivered(order("nosuch://HOST/SECRET", "apprise", seconds=0))

    assert done.returncode == 1
    assert done.stdout == "apprise does not take this address; its wiki has the form of each service"
