"""Digest authentication (RFC 7616) as later Shelly devices ask for it: SHA-256, quality `auth`."""

import hashlib
import os
from collections.abc import Mapping
from urllib.request import parse_http_list, parse_keqv_list

__all__ = ["DigestLogin"]

_ALGORITHM = "SHA-256"
_QUALITY = "auth"


class DigestLogin:
    """Answers a server's challenge, and goes on by it until the server gives another.

    Args:
        user: `admin` on all Shelly devices.
        password: Secret; only digests of it leave this machine.
    """

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self._challenge: Mapping[str, str] = {}
        self._count = 0

    def take(self, challenge: str) -> bool:
        """Take a `WWW-Authenticate` header; return whether it is one that can be answered."""
        scheme, _, rest = challenge.strip().partition(" ")
        fields = parse_keqv_list([part for part in parse_http_list(rest) if "=" in part])
        is_known = (
            scheme.lower() == "digest"
            and fields.get("algorithm", "").upper() == _ALGORITHM
            and _QUALITY in [word.strip() for word in fields.get("qop", "").split(",")]
            and {"realm", "nonce"} <= fields.keys()
        )
        self._challenge = fields if is_known else {}
        self._count = 0
        return is_known

    def header(self, uri: str) -> dict[str, str]:
        """Return the header for a GET of a path with its query; nothing before the first challenge."""
        if not self._challenge:
            return {}
        self._count += 1
        realm, nonce = self._challenge["realm"], self._challenge["nonce"]
        count, own_nonce = f"{self._count:08x}", os.urandom(8).hex()
        secret = _digest(f"{self._user}:{realm}:{self._password}")
        response = _digest(f"{secret}:{nonce}:{count}:{own_nonce}:{_QUALITY}:{_digest(f'GET:{uri}')}")
        fields = {"username": self._user, "realm": realm, "nonce": nonce, "uri": uri, "response": response}
        quoted = ", ".join(f'{name}="{value}"' for name, value in fields.items())
        rest = f'algorithm={_ALGORITHM}, qop={_QUALITY}, nc={count}, cnonce="{own_nonce}"'
        return {"Authorization": f"Digest {quoted}, {rest}"}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
