"""TLS of the agent's port: which protocols, whose certificate, and whose certificates clients have to show.

Files that were renewed are taken up at the next connection. Those that cannot be used are told, and the last
good ones stay in force.
"""

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from evenwatt.errors import EvenwattError

__all__ = ["Certificates", "Protection", "TlsFiles", "names_of"]

_log = logging.getLogger("evenwatt")

_VERSIONS: Mapping[str, ssl.TLSVersion] = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""With forward secrecy and authenticated encryption; TLS 1.3 has no others."""


class TlsFiles(Struct, frozen=True, kw_only=True):
    """What the port is protected by.

    Attributes:
        client_ca_file: Who signs certificates of clients; None: no client is asked for one.
        is_client_required: Whether a client without a certificate is turned away.
        client_names: The names (SAN) of which a client's certificate has to have one; empty: any will do.
        least_version: `TLS12` or `TLS13`.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    is_client_required: bool = False
    client_names: frozenset[str] = frozenset()
    least_version: str = "TLS12"


class Protection(Struct, frozen=True, kw_only=True):
    """What is asked of whoever reads the port.

    Attributes:
        users: bcrypt hashes by user; empty: no password is asked for.
        tls: None: the port speaks plain HTTP.
    """

    users: Mapping[str, str] = field(default_factory=dict)
    tls: TlsFiles | None = None

    @property
    def is_any(self) -> bool:
        """Whether anything is asked for at all."""
        return bool(self.users) or self.tls is not None


class Certificates:
    """Gives each connection the certificates as they are on disk.

    Attributes:
        context: To listen with.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            EvenwattError: One of them cannot be read, or does not fit another.
        """
        self._files = files
        self._stamps = self._present_stamps()
        self.context = self._current = self._loaded()
        # Called for every connection, with or without a name in it.
        self.context.sni_callback = self._on_connection

    def _on_connection(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        stamps = self._present_stamps()
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._current = self._loaded()
            except EvenwattError as error:
                _log.error("the certificates before stay in force: %s", error)
            else:
                _log.info("took up the renewed certificates in %s", self._files.cert_file)
        connection.context = self._current

    def _present_stamps(self) -> tuple[tuple[int, int] | None, ...]:
        paths = (self._files.cert_file, self._files.key_file, self._files.client_ca_file)
        return tuple(_stamp(path) for path in paths if path is not None)

    def _loaded(self) -> ssl.SSLContext:
        files = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[files.least_version]
        context.set_ciphers(_TLS12_CIPHERS)
        try:
            context.load_cert_chain(files.cert_file, files.key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise EvenwattError(
                f"server.tls_server_config: {files.cert_file} and {files.key_file} cannot be used "
                f"({_reason(error)}); expected a certificate chain and its key as PEM, without a password, "
                "which the agent's user can read"
            ) from error
        if files.client_ca_file is not None:
            try:
                context.load_verify_locations(files.client_ca_file)
            except (OSError, ValueError) as error:
                raise EvenwattError(
                    f"server.tls_server_config.client_ca_file: {files.client_ca_file} cannot be used "
                    f"({_reason(error)}); expected certificates as PEM, which the agent's user can read"
                ) from error
            context.verify_mode = ssl.CERT_REQUIRED if files.is_client_required else ssl.CERT_OPTIONAL
        return context


def names_of(certificate: Mapping[str, Any]) -> frozenset[str]:
    """Return the names that a client's certificate is for, of any kind."""
    return frozenset(value for _kind, value in certificate.get("subjectAltName", ()))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
