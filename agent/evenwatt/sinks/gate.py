"""Who may read the agent's port: clients with a password or with a certificate, and commands of this machine.

A password is compared with its bcrypt hash once; from then on a keyed hash in memory knows it, which costs
microseconds. A wrong one costs whoever sends it, and never much of this machine: wrong ones are compared one
after the other, with a pause after each, and more than a few at a time are turned away.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from evenwatt import clock
from evenwatt.sinks.certificates import Protection, names_of

__all__ = ["Gate"]

_log = logging.getLogger("evenwatt")

_PAUSE_SECONDS = 0.5
_MOST_WAITING = 8
_COMPLAINT_SECONDS = 60.0
_LONGEST_HEADER = 1_000
_ASK = {"WWW-Authenticate": 'Basic realm="evenwatt", charset="UTF-8"'}


class Gate:
    """Lets a request through, or answers it; `middleware` is for a web application.

    Args:
        protection: What is asked for.
        pause_seconds: After a wrong password.
    """

    def __init__(self, protection: Protection, *, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self._users = {name: text.encode() for name, text in protection.users.items()}
        self._client_names = frozenset() if protection.tls is None else protection.tls.client_names
        self._pause_seconds = pause_seconds
        self._key = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0
        self._refused = 0
        self._quiet_until = 0.0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer who may not read; hand on who may."""
        if _is_local(request):
            return await handler(request)
        if self._client_names and not self._client_names & names_of(_certificate(request)):
            self._complain(request, "a certificate that is for none of client_allowed_sans")
            return _refusal(HTTPStatus.FORBIDDEN, "this certificate is not for here")
        if not self._users:
            return await handler(request)
        given = _user_and_password(request.headers.get("Authorization", ""))
        if given is None:
            return _refusal(HTTPStatus.UNAUTHORIZED, "a user and a password are asked for")
        if self._is_known(*given):
            return await handler(request)
        if self._waiting >= _MOST_WAITING:
            return _refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many passwords at once; try again in a minute")
        if await self._is_right(*given):
            return await handler(request)
        self._complain(request, "a wrong user or password")
        return _refusal(HTTPStatus.UNAUTHORIZED, "the user or the password is wrong")

    def _is_known(self, user: str, password: str) -> bool:
        known = self._known.get(user)
        return known is not None and hmac.compare_digest(known, self._digest(user, password))

    def _digest(self, user: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{user}\0{password}".encode(), hashlib.sha256)

    async def _is_right(self, user: str, password: str) -> bool:
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                # An unknown user takes as long as a known one.
                expected = self._users.get(user) or next(iter(self._users.values()))
                fits = await asyncio.to_thread(_fits, password.encode(), expected)
                if fits and user in self._users:
                    self._known[user] = self._digest(user, password)
                    return True
                await asyncio.sleep(self._pause_seconds)
                return False
        finally:
            self._waiting -= 1

    def _complain(self, request: web.Request, shown: str) -> None:
        """Log it, with how many there were since; the user's name is as hostile as the password is secret."""
        self._refused += 1
        if clock.boot_seconds() < self._quiet_until:
            return
        self._quiet_until = clock.boot_seconds() + _COMPLAINT_SECONDS
        _log.warning(
            "refused %s %s from %s (%d refused so far)", request.method, shown, request.remote, self._refused
        )


def _fits(password: bytes, expected: bytes) -> bool:
    import bcrypt  # noqa: PLC0415 -- most agents ask for no password

    try:
        return bcrypt.checkpw(password, expected)
    except ValueError:  # longer than bcrypt takes, or with a null byte
        return False


def _user_and_password(header: str) -> tuple[str, str] | None:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic" or len(header) > _LONGEST_HEADER:
        return None
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def _is_local(request: web.Request) -> bool:
    """Return whether it came over the socket in the file system, whose rights say who may."""
    return request.transport is not None and isinstance(request.transport.get_extra_info("sockname"), str)


def _certificate(request: web.Request) -> Mapping[str, object]:
    shown = None if request.transport is None else request.transport.get_extra_info("peercert")
    return shown or {}


def _refusal(status: HTTPStatus, text: str) -> web.Response:
    headers = _ASK if status is HTTPStatus.UNAUTHORIZED else {}
    return web.Response(status=status, text=f"{text}\n", headers=headers)
