"""The section of the agent's port: where it listens, and what it asks of whoever reads it.

The keys are those of the web configuration that Prometheus' own exporters have.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from evenwatt.config.parsers import matching_text, one_of
from evenwatt.config.refusals import KeyPath, unexpected
from evenwatt.config.section import Section
from evenwatt.config.values import AbsolutePath, Address, Flag, ListenAddress, OneLine

__all__ = ["Server", "TlsServer"]

_ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
_TlsVersion = Literal["TLS12", "TLS13"]
_BCRYPT = r"\$2[aby]\$(?:0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}"
_UserName = Annotated[str, matching_text(r"[^\x00-\x1f\x7f:]{1,100}", "a user's name without a colon")]


def _parse_hash(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(_BCRYPT, value):
        # It may be the password itself.
        expected = "a bcrypt hash of cost 4 to 14, as `htpasswd -nBC 10 USER` prints it after the colon"
        raise unexpected(expected, secret=True)
    return value


_Hash = Annotated[str, _parse_hash]


class TlsServer(Section, frozen=True, kw_only=True):
    """Certificates of the port.

    Attributes:
        cert_file (file): Certificate chain, PEM; a renewed one is taken up at the next connection.
        key_file (file): Its key, PEM without a password, readable by the agent's user.
        client_auth_type: `VerifyClientCertIfGiven` or `RequireAndVerifyClientCert`: certificates of
            clients.
        client_ca_file (file): Who signs certificates of clients, PEM.
        client_allowed_sans (list of names): Names (SAN), of which a client's certificate has to have one.
            None: any.
        min_version: The oldest protocol: `TLS12` or `TLS13`; older ones are never spoken.
    """

    cert_file: AbsolutePath
    key_file: AbsolutePath
    client_auth_type: Annotated[_ClientAuth, one_of(*get_args(_ClientAuth))] = "NoClientCert"
    client_ca_file: AbsolutePath | None = None
    client_allowed_sans: tuple[OneLine, ...] | None = None
    min_version: Annotated[_TlsVersion, one_of(*get_args(_TlsVersion))] = "TLS12"

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        is_asked = self.client_auth_type != "NoClientCert"
        if is_asked and self.client_ca_file is None:
            yield ("client_ca_file",), f"missing; {self.client_auth_type} needs it"
        if not is_asked and (self.client_ca_file is not None or self.client_allowed_sans):
            text = "got NoClientCert, by which client_ca_file and client_allowed_sans would mean nothing"
            yield ("client_auth_type",), f"{text}; write RequireAndVerifyClientCert, or remove them"


class Server(Section, frozen=True, kw_only=True):
    """The one port of the agent.

    Attributes:
        listen (host:port): Where the page and the metrics are served; an IPv6 host in brackets.
        basic_auth_users (hash by user): Bcrypt hashes of passwords, from `htpasswd -nBC 10 USER`; users may
            read everything.
        open_to_all (yes or no): Other machines may read it without TLS and without a password; else that is
            refused.
    """

    listen: ListenAddress = Address(host="127.0.0.1", port=9787)
    tls_server_config: TlsServer | None = None
    basic_auth_users: Mapping[_UserName, _Hash] | None = None
    open_to_all: Flag = False

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        is_protected = self.tls_server_config is not None or self.basic_auth_users
        if not is_protected and not self.open_to_all and not self.listen.is_loopback:
            text = (
                f"got {self.listen}, which other machines can read; write basic_auth_users or "
                "tls_server_config with it, listen on 127.0.0.1, or write open_to_all: true if that is meant"
            )
            yield ("listen",), text
