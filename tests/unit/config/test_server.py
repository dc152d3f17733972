"""The section of the port: what can be read from elsewhere only when it is protected, or meant to be open."""

import pytest

from config_fixtures import faults_in, settings_of

HASH = "$2b$10$abcdefghijklmnopqrstuum07vmGq4SyG7w9SfXuOAyD5WMiIMdTu"
TLS = "tls_server_config: {cert_file: /a, key_file: /b"


@pytest.mark.parametrize("host", ["0.0.0.0", "'[::]", "10.0.0.1", "myhost"])
def test_an_open_port_for_other_machines_is_refused(host):
    """The fault says what to write instead."""
    quoted = f"{host}:9787'" if host.startswith("'") else f"'{host}:9787'"

    (fault,) = faults_in(f"server: {{listen: {quoted}}}")

    assert "which other machines can read; write basic_auth_users or tls_server_config" in fault
    assert "open_to_all: true" in fault


@pytest.mark.parametrize(
    "more",
    [f"basic_auth_users: {{p: '{HASH}'}}", TLS + "}", "open_to_all: true"],
    ids=["users", "tls", "told"],
)
def test_a_protected_port_may_be_read_from_elsewhere(more):
    """So may one that is told to be open."""
    assert settings_of(f"server: {{listen: '0.0.0.0:9787', {more}}}").server.listen.host == "0.0.0.0"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "[::1]"])
def test_loopback_needs_nothing(host):
    """As it was."""
    assert settings_of(f"server: {{listen: '{host}:9787'}}").server.basic_auth_users is None


@pytest.mark.parametrize("text", ["hunter2", HASH[:-1], HASH.replace("$10$", "$31$"), "$1$abc$def"])
def test_what_is_no_hash_is_not_shown(text):
    """It may be the password itself; a cost of 31 would take days to compare."""
    (fault,) = faults_in(f"server: {{basic_auth_users: {{prometheus: '{text}'}}}}")

    assert text not in fault
    assert "expected a bcrypt hash of cost 4 to 14, as `htpasswd -nBC 10 USER` prints it" in fault


@pytest.mark.parametrize("users", [f"{{'alice:b': '{HASH}'}}", "{alice:hunter2}", f"{{'alice:{HASH}'}}"])
def test_a_user_that_no_header_could_name_is_told(users):
    """A colon ends the name in basic authentication; what follows may be a password, and is not shown."""
    fault = "\n".join(faults_in(f"server: {{basic_auth_users: {users}}}"))

    assert "got a name that begins with 'alice', expected a user's name without a colon" in fault
    assert not any(secret in fault for secret in ("hunter2", HASH, "alice:"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: missing"),
        ("client_ca_file: /c", "client_auth_type: got NoClientCert"),
        ("client_auth_type: RequireAnyClientCert", "expected NoClientCert, VerifyClientCertIfGiven or"),
        ("min_version: TLS10", "expected TLS12 or TLS13"),
        ("cipher_suites: [a]", "cipher_suites"),
    ],
)
def test_certificates_that_would_mean_nothing_are_faults(more, words):
    """So are protocols that nobody should speak, and keys that this agent does not have."""
    (fault,) = faults_in(f"server: {{{TLS}, {more}}}}}")

    assert words in fault
