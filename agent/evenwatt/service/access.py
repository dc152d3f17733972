"""Who may read the agent, from settings to what the port asks for."""

from pathlib import Path

from evenwatt.config import Settings
from evenwatt.sinks.certificates import Protection, TlsFiles

__all__ = ["local_socket", "protection"]


def protection(settings: Settings) -> Protection:
    """Return what is asked of whoever reads the port."""
    server, tls = settings.server, settings.server.tls_server_config
    return Protection(
        users=server.basic_auth_users or {},
        tls=None
        if tls is None
        else TlsFiles(
            cert_file=tls.cert_file,
            key_file=tls.key_file,
            client_ca_file=tls.client_ca_file,
            is_client_required=tls.client_auth_type == "RequireAndVerifyClientCert",
            client_names=frozenset(tls.client_allowed_sans or ()),
            least_version=tls.min_version,
        ),
    )


def local_socket(settings: Settings, history: Path | None = None) -> Path | None:
    """Return the socket beside the history at which commands of this machine read a protected agent.

    Args:
        settings: As loaded.
        history: Where the agent keeps its history; None: where the settings say.

    Returns:
        None where the port is open to all of this machine.
    """
    if not protection(settings).is_any:
        return None
    path = history or settings.history.path
    return path.with_name(f"{path.name}.sock")
