"""Says on whose behalf a request came: address, headers and a field in, one of a bounded set of names out."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from evenwatt.readings.exposition import bounded_text

__all__ = ["OTHER_CLIENT", "ClientNamer", "ClientRule", "key_digest"]

OTHER_CLIENT: Final = "other"
"""The client label of everybody whom no rule names, and of names beyond the bound."""

_MOST_NAMES = 100
_KEY_HEADERS = ("x-api-key", "api-key")
_BEARER = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRule:
    """Names a client; all that it asks for has to fit.

    Attributes:
        name: The label; None: the value of the header, or of the user field, that the rule asks for.
        api_key: The client's key; `ClientNamer` keeps its keyed hash and not the key.
        header: The name of a header that the request has to have.
        value: What stands in it; None: anything.
        network: Where the request comes from, as its connection tells.
        user: What the `user` field of the request says (`metadata.user_id` for messages).
        has_user: Whether any user field will do.
    """

    name: str | None = None
    api_key: str | None = field(default=None, repr=False)
    header: str | None = None
    value: str | None = None
    network: IPv4Network | IPv6Network | None = None
    user: str | None = None
    has_user: bool = False


def key_digest(secret: bytes, api_key: str) -> bytes:
    """Return the keyed hash of an API key."""
    return hmac.new(secret, api_key.encode("utf-8", "replace"), hashlib.sha256).digest()


class ClientNamer:
    """Applies rules.

    Args:
        rules: The first that fits holds.
        secret: What API keys are hashed with.
        known: Names that have totals already; they never fold into `other`.

    Attributes:
        has_rules: Whether anybody is named.
    """

    def __init__(
        self, rules: tuple[ClientRule, ...], secret: bytes, known: frozenset[str] = frozenset()
    ) -> None:
        self._secret = secret
        self._rules = tuple(
            (
                replace(rule, api_key=None, header=None if rule.header is None else rule.header.lower()),
                None if rule.api_key is None else key_digest(secret, rule.api_key),
            )
            for rule in rules
        )
        self.has_rules = bool(rules)
        self._names = set(known) | {rule.name for rule in rules if rule.name is not None}

    def name(self, headers: Mapping[str, str], address: str | None, user: str | None) -> str:
        """Return the label of a client.

        Args:
            headers: Of the request, their names in lower case.
            address: Of the other end of the connection; None where there is none, as on a unix socket.
            user: What the request's body says.
        """
        for rule, digest in self._rules:
            if self._has_key(headers, digest) and _fits(rule, headers, address, user):
                found = rule.name
                if found is None:
                    found = headers.get(rule.header or "") if rule.header is not None else user
                return self._bounded(found or OTHER_CLIENT)
        return OTHER_CLIENT

    def _has_key(self, headers: Mapping[str, str], digest: bytes | None) -> bool:
        if digest is None:
            return True
        key = _api_key(headers)
        return key is not None and hmac.compare_digest(key_digest(self._secret, key), digest)

    def _bounded(self, name: str) -> str:
        name = bounded_text(name)
        if name not in self._names and len(self._names) >= _MOST_NAMES:
            return OTHER_CLIENT
        self._names.add(name)
        return name


def _fits(rule: ClientRule, headers: Mapping[str, str], address: str | None, user: str | None) -> bool:
    if rule.header is not None:
        found = headers.get(rule.header)
        if found is None or rule.value not in {None, found}:
            return False
    if rule.network is not None and not _is_in(address, rule.network):
        return False
    if rule.user is not None and user != rule.user:
        return False
    return not rule.has_user or user is not None


def _api_key(headers: Mapping[str, str]) -> str | None:
    authorization = headers.get("authorization", "")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return next((headers[name] for name in _KEY_HEADERS if name in headers), None)


def _is_in(address: str | None, network: IPv4Network | IPv6Network) -> bool:
    if address is None:
        return False
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found) in network
