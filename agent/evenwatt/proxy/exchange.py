"""The account of one request: fed with what passes, booked once when it has ended, however it ended."""

import re
from asyncio import Future
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from evenwatt.clock import boot_seconds
from evenwatt.proxy.answers import AnswerReader, is_no_end
from evenwatt.proxy.apis import OLLAMA, RESPONSES, UNMETERED, Api
from evenwatt.proxy.asking import STREAM
from evenwatt.proxy.decoding import Decoder, decoder_for
from evenwatt.proxy.facts import EngineFacts
from evenwatt.proxy.observations import Observations
from evenwatt.proxy.scanner import KeyPath
from evenwatt.proxy.tokens import Tokens
from evenwatt.proxy.totals import Finished, Sums, Totals
from evenwatt.readings.exposition import bounded_text

__all__ = ["ASKED_KEYS", "Books", "Exchange", "user_in"]

ASKED_KEYS: Final[frozenset[KeyPath]] = frozenset({("n",), ("user",), ("metadata", "user_id"), STREAM})
"""What of a request's body matters for its account."""

_NOTHING: Final[Mapping[KeyPath, Any]] = {}
_NO_TOKENS = Tokens(input_tokens=0, output_tokens=0)
_FIRST_ERROR_STATUS = 400
_MOST_MODELS = 200
_UNKNOWN_MODEL = "unknown"
_OTHER_MODEL = "other"
_REMOTE_NAME = re.compile(r"[:-]cloud$")
"""How Ollama names models that its makers' machines run."""


class Books(Struct, kw_only=True):
    """Where accounts are booked.

    Attributes:
        engine: What is known of it by now.
    """

    totals: Totals
    observations: Observations
    engine: EngineFacts

    def model_label(self, name: str | None) -> str:
        """Return the label of a model that an answer named; a client cannot make up more than the bound."""
        if self.engine.kind == "llamacpp" and self.engine.only_model is not None:
            name = self.engine.only_model  # it answers with whatever name it was asked for
        if name is None:
            return _UNKNOWN_MODEL
        name = bounded_text(name)
        if self.engine.kind == "ollama" and ":" not in name:
            name = f"{name}:latest"
        known = self.observations.models
        if name not in known and len(known) >= _MOST_MODELS:
            return _OTHER_MODEL
        known.add(name)
        return name


class Exchange:
    """One request to a counted path.

    Attributes:
        asked: What the request's body says of `ASKED_KEYS`; looked at when it is booked.

    Args:
        api: How its answer is counted.
        books: Where it is booked.
        client: Says on whose behalf it came; asked when it is booked, as the body may tell.
        began_boot_seconds: When the request came.
    """

    asked: Mapping[KeyPath, Any] = _NOTHING
    _first_text_seconds: float | None = None
    _reader: AnswerReader | None = None
    _decoder: Decoder | None = None
    _form: str | None = None
    _is_read = False
    _is_plain = False
    _is_between = False
    _status: int | None = None
    _booked: "Future[None] | None" = None
    _is_booked = False
    _was_reached = True

    def __init__(
        self,
        api: Api,
        books: Books,
        client: Callable[[Mapping[KeyPath, Any]], str],
        began_boot_seconds: float,
    ) -> None:
        self._api = api
        self._books = books
        self._client = client
        self._began_boot_seconds = began_boot_seconds
        self._waiting: list[tuple[bytes, float]] = []
        books.observations.running += 1

    def answered(self, status: int, form: str | None, encoding: bytes) -> None:
        """Say how the answer begins: with what `form_of` says of it, and its Content-Encoding."""
        self._status = status
        if status < _FIRST_ERROR_STATUS:
            self._form = form
            self._is_read = True
            self._is_plain = not encoding
            self._is_between = self.is_stream and self._is_plain
            if encoding:
                self._decoder = decoder_for(encoding)

    @property
    def is_stream(self) -> bool:
        """Whether the answer comes as events or lines, one after another."""
        return self._form is not None

    def defer(self, piece: bytes) -> bool:
        """Take a piece that `catch_up` may read once the client has it, who then does not wait for that.

        Returns:
            False, and does not take it, where it may say the last word: `read` tells whether it does.
        """
        if not self._is_read:
            return True  # the engine refused
        if not (self._is_between and is_no_end(piece, self._form)):
            return False
        self._waiting.append((piece, boot_seconds()))
        return True

    def read(self, piece: bytes) -> bool:
        """Take a piece and read it; return whether the answer has said its last word."""
        self._waiting.append((piece, boot_seconds()))
        self.catch_up()
        return self._reader is not None and self._reader.is_complete

    def catch_up(self) -> None:
        """Read what was deferred."""
        if not self._is_read:
            return
        if self._reader is None:
            self._reader = AnswerReader(self._api, self._form)
        reader = self._reader
        for piece, came_boot_seconds in self._waiting:
            self._read(reader, piece, came_boot_seconds)
        self._waiting.clear()
        self._is_between = self._is_plain and reader.is_between_events

    def _read(self, reader: AnswerReader, piece: bytes, came_boot_seconds: float) -> None:
        try:
            if self._is_plain:
                reader.feed(piece)
            elif self._decoder is not None:
                for plain in self._decoder.feed(piece):
                    reader.feed(plain)
        except ValueError:
            self._decoder = None
            return
        if self._first_text_seconds is None and reader.texts:
            self._first_text_seconds = came_boot_seconds - self._began_boot_seconds

    def completed(self) -> "Future[None] | None":
        """Book it: the answer has said its last word, or has ended; return what tells that it is written."""
        self.catch_up()
        reader = self._reader
        if reader is not None:
            reader.end()
            is_cut = (
                reader.is_stream and not (reader.is_complete or reader.raw) and self._api is not UNMETERED
            )
            if reader.has_failed or (is_cut and (self._is_plain or self._decoder is not None)):
                return self._book("failed")
        return self._book("failed" if reader is None else "completed")

    def aborted(self) -> None:
        """Book it: the client has gone."""
        self._book("aborted")

    def failed(self, *, was_reached: bool = True) -> "Future[None] | None":
        """Book it: the engine broke off, or was never reached and cannot have generated anything."""
        self._was_reached = was_reached
        return self._book("failed")

    def _book(self, outcome: str) -> "Future[None] | None":
        if self._is_booked:
            return self._booked
        self._is_booked = True
        self.catch_up()
        books, reader = self._books, self._reader
        books.observations.running -= 1
        if reader is not None and reader.is_load:
            return None
        tokens, counted = self._account(outcome)
        model = books.model_label(None if reader is None else reader.model)
        is_remote = reader is not None and (reader.is_remote or self._is_remote_name(model))
        client = self._client(self.asked)
        owner = Finished(model, client, "remote" if is_remote else "local", outcome, counted)
        self._booked = books.totals.add(
            owner,
            Sums(
                requests=1,
                input_tokens=tokens.input_tokens,
                cached_input_tokens=tokens.cached_input_tokens,
                output_tokens=tokens.output_tokens,
                reasoning_tokens=tokens.reasoning_tokens,
            ),
        )
        duration = boot_seconds() - self._began_boot_seconds
        books.observations.observe(model, outcome, duration, self._first_text_seconds)
        return self._booked

    def _is_remote_name(self, model: str) -> bool:
        is_ollama = self._api is OLLAMA or self._books.engine.kind == "ollama"
        return is_ollama and _REMOTE_NAME.search(model) is not None

    def _account(self, outcome: str) -> tuple[Tokens, str]:
        """Return the tokens and how far they are known."""
        if self._reader is None:
            is_refused = self._status is not None or not self._was_reached
            return (_NO_TOKENS, "exact") if is_refused else (Tokens(), "unknown")
        tokens = self._told_tokens(self._reader)
        if outcome == "completed":
            if None not in {tokens.input_tokens, tokens.output_tokens}:
                # llama.cpp tells the tokens of one choice only.
                is_one_of_several = "predicted" in self._reader.raw and self._asked_for_several()
                return tokens, "lower_bound" if is_one_of_several else "exact"
            known = (tokens.input_tokens, tokens.output_tokens)
            return tokens, "unknown" if known == (None, None) else "lower_bound"
        seen = max(tokens.output_tokens or 0, self._reader.texts)
        least = Tokens(
            input_tokens=tokens.input_tokens or None,  # some engines say 0 until the end
            cached_input_tokens=tokens.cached_input_tokens if tokens.input_tokens else None,
            output_tokens=seen or None,
            reasoning_tokens=tokens.reasoning_tokens,
        )
        is_nothing = least.input_tokens is None and least.output_tokens is None
        return least, "unknown" if is_nothing else "lower_bound"

    def _asked_for_several(self) -> bool:
        choices = self.asked.get(("n",))
        return isinstance(choices, int) and choices > 1

    def _told_tokens(self, reader: AnswerReader) -> Tokens:
        raw = reader.raw
        if self._api is RESPONSES and self._books.engine.kind == "ollama" and raw.get("cached") == 0:
            # Its older versions write this 0 whatever was cached.
            raw = {name: value for name, value in raw.items() if name != "cached"}
            return self._api.tokens(raw)
        return reader.tokens()


def user_in(values: Mapping[KeyPath, Any]) -> str | None:
    """Return the user that a request's body names."""
    for path in (("user",), ("metadata", "user_id")):
        user = values.get(path)
        if isinstance(user, str) and user:
            return user
    return None
