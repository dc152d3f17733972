"""Who may read the port: passwords, certificates, and commands of the same machine, with real connections."""

import http.client
import logging
import socket
import ssl
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import bcrypt
import pytest
import requests

from certificates import Authority
from evenwatt.errors import EvenwattError
from evenwatt.sinks.certificates import Protection, TlsFiles
from evenwatt.sinks.web import Page, Pages, WebServer

PASSWORD = "correct horse"
USERS = {"prometheus": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}
PAGES = Pages(by_path={"/metrics": Page(body=b"1\n", content_type="text/plain")})


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """One who signs the certificates of a module's tests."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serve():
    """A function that starts a protected server with one page."""
    started = []

    def start(protection, **more):
        server = WebServer(host="127.0.0.1", port=0, protection=protection, **more)
        server.publish(PAGES)
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


def ask(server, user=None, password=None, *, scheme="http", **more):
    """Return the status of one request on a connection of its own."""
    with requests.Session() as session:
        session.trust_env = False
        auth = None if user is None else (user, password)
        return session.get(
            f"{scheme}://127.0.0.1:{server.port}/metrics", auth=auth, timeout=20, **more
        ).status_code


def test_a_password_is_asked_for_and_taken(serve):
    """Without one 401, with the right one the page, again and again."""
    server = serve(Protection(users=USERS))

    assert ask(server) == 401
    assert [ask(server, "prometheus", PASSWORD) for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("prometheus", "wrong"),
        ("nobody", PASSWORD),
        ("", ""),
        ("prometheus", "x" * 200),
        ("prometheus", "\0"),
    ],
)
def test_a_wrong_password_is_slow_and_logged_without_a_word_of_it(serve, caplog, user, password):
    """It takes half a second; the log says where from, and neither who nor what."""
    server = serve(Protection(users=USERS))
    began = time.monotonic()

    assert ask(server, user, password) == 401
    assert time.monotonic() - began > 0.5
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line == "refused GET a wrong user or password from 127.0.0.1 (1 refused so far)"


def test_many_wrong_passwords_are_one_line(serve, caplog):
    """Whoever tries many does not fill the log."""
    server = serve(Protection(users=USERS))

    assert [ask(server, "prometheus", "wrong") for _ in range(2)] == [401, 401]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


def test_a_right_password_stays_right_only_as_a_whole(serve):
    """What is known of it fits neither a part of it nor another user."""
    server = serve(Protection(users={**USERS, "other": USERS["prometheus"][:-1] + "x"}))

    assert ask(server, "prometheus", PASSWORD) == 200
    assert ask(server, "prometheus", PASSWORD[:-1]) == 401
    assert ask(server, "other", PASSWORD) == 401


@pytest.mark.parametrize(
    "header", ["Basic", "Basic ====", "Basic /w==", "Bearer abc", "Basic bm9jb2xvbg==", "x" * 5_000]
)
def test_nonsense_is_no_password(serve, header):
    """A header that is none is answered as one that is missing."""
    assert ask(serve(Protection(users=USERS)), headers={"Authorization": header}) == 401


def test_a_flood_of_wrong_passwords_does_not_shut_out_who_is_known(serve):
    """Few at a time are compared, the others are turned away; a known one passes them by."""
    server = serve(Protection(users=USERS))
    assert ask(server, "prometheus", PASSWORD) == 200
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(ask, server, "prometheus", "wrong") for _ in range(20)]
        time.sleep(0.3)
        began = time.monotonic()
        assert ask(server, "prometheus", PASSWORD) == 200
        assert time.monotonic() - began < 0.5
        statuses = [answer.result() for answer in answers]

    assert set(statuses) == {401, 429}


def test_commands_of_the_machine_need_no_password(serve, tmp_path, authority):
    """The socket in the file system is for the agent's user and root, whatever the port asks for."""
    certificate, key = authority.signed("server")
    path = tmp_path / "agent.sock"
    serve(Protection(users=USERS, tls=TlsFiles(cert_file=certificate, key_file=key)), local_path=path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as agent, closing(http.client.HTTPConnection("agent")) as connection:
        agent.connect(str(path))
        connection.sock = agent
        connection.request("GET", "/metrics")
        assert connection.getresponse().read() == b"1\n"


# --- TLS ----------------------------------------------------------------------------------------------------


def handshake(server, authority, *, prepare=lambda _context: None):
    """Return protocol and certificate of a connection; raise where there is none."""
    context = ssl.create_default_context(cafile=authority.certificate)
    prepare(context)
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
    ):
        return secured.version(), secured.getpeercert()["serialNumber"]


def only(version, ciphers=None):
    """Return what limits a client to one protocol, also one that its library would not speak by itself."""

    def limit(context):
        context.minimum_version = context.maximum_version = version
        context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")

    return limit


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_no_old_protocol_is_spoken(serve, authority):
    """A scan: TLS 1.3 and 1.2 with forward secrecy are there, nothing older or weaker is."""
    certificate, key = authority.signed("server")
    server = serve(Protection(tls=TlsFiles(cert_file=certificate, key_file=key)))
    spoken = ssl.TLSVersion

    assert handshake(server, authority)[0] == "TLSv1.3"
    assert handshake(server, authority, prepare=only(spoken.TLSv1_2))[0] == "TLSv1.2"
    for version, ciphers in (
        (spoken.TLSv1, None),
        (spoken.TLSv1_1, None),
        (spoken.TLSv1_2, "AES128-SHA:AES256-SHA:@SECLEVEL=0"),
        (spoken.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"),
        (spoken.TLSv1_2, "aNULL:@SECLEVEL=0"),
    ):
        with pytest.raises(OSError, match=r"(?i)alert|eof|reset|protocol"):
            handshake(server, authority, prepare=only(version, ciphers))
    with pytest.raises(requests.RequestException):
        ask(server)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_the_oldest_protocol_can_be_set(serve, authority):
    """With TLS13 nothing else is spoken."""
    certificate, key = authority.signed("server")
    server = serve(Protection(tls=TlsFiles(cert_file=certificate, key_file=key, least_version="TLS13")))

    assert handshake(server, authority)[0] == "TLSv1.3"
    with pytest.raises(OSError, match=r"(?i)alert|eof|protocol"):
        handshake(server, authority, prepare=only(ssl.TLSVersion.TLSv1_2))


def test_renewed_certificates_are_taken_up(serve, authority, caplog):
    """The next connection sees them; broken ones are told once, and the last good ones stay."""
    certificate, key = authority.signed("renewed")
    server = serve(Protection(tls=TlsFiles(cert_file=certificate, key_file=key)))
    first = handshake(server, authority)[1]
    authority.signed("renewed")
    second = handshake(server, authority)[1]
    certificate.write_text("half a certificate")
    third = [handshake(server, authority)[1] for _ in range(3)]
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]

    assert second != first
    assert third == [second] * 3
    assert len(told) == 1
    assert str(certificate) in told[0]


def test_clients_show_certificates(serve, authority):
    """None, that of somebody else and one with another name are turned away."""
    certificate, key = authority.signed("server")
    known, stranger = authority.signed("known", san="DNS:prometheus"), authority.signed("b", san="DNS:other")
    files = TlsFiles(
        cert_file=certificate,
        key_file=key,
        client_ca_file=authority.certificate,
        is_client_required=True,
        client_names=frozenset({"prometheus"}),
    )
    server = serve(Protection(tls=files))
    trusted = {"scheme": "https", "verify": str(authority.certificate)}

    assert ask(server, cert=tuple(map(str, known)), **trusted) == 200
    assert ask(server, cert=tuple(map(str, stranger)), **trusted) == 403
    with pytest.raises(requests.ConnectionError):
        ask(server, **trusted)


def test_files_that_cannot_be_used_stop_the_start(authority, tmp_path):
    """The sentence names the files and what is expected of them."""
    certificate, _ = authority.signed("one")
    _, other_key = authority.signed("two")
    for cert_file, key_file in (
        (tmp_path / "none", other_key),
        (certificate, other_key),
        (other_key, other_key),
    ):
        files = TlsFiles(cert_file=cert_file, key_file=key_file)
        with pytest.raises(EvenwattError, match=r"server\.tls_server_config: .* expected a certificate"):
            WebServer(host="127.0.0.1", port=0, protection=Protection(tls=files))
