"""Reads an answer while it passes: as one JSON object, as lines of JSON, or as a stream of events."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from evenwatt.proxy.apis import Api
from evenwatt.proxy.lines import LineCutter, LinePart
from evenwatt.proxy.scanner import KeyPath, ObjectScanner
from evenwatt.proxy.tokens import Tokens

__all__ = ["EVENTS", "AnswerReader", "form_of", "is_no_end"]

_LAST_EVENT_TYPES: Final = frozenset(
    {"message_stop", "response.completed", "response.incomplete", "response.failed"}
)
_FAILED_EVENT_TYPES: Final = frozenset({"error", "response.failed"})
_ONLY_LOADS: Final = frozenset({"load", "unload"})
_MOST_LOOKS_FOR_MODEL = 8
"""How many events are read whole for the model's name; the first one has it, or none has."""
_MOST_CONTENT_TYPES: Final = 64
_MAY_END = re.compile(
    rb'\[DONE\]|"done"\s*:\s*true|"(?:%b)"' % "|".join(map(re.escape, sorted(_LAST_EVENT_TYPES))).encode()
)
"""What is in every last word of a stream."""
EVENTS: Final = "events"
_FORMS: Final = {b"text/event-stream": EVENTS, b"application/x-ndjson": "lines"}


@lru_cache(_MOST_CONTENT_TYPES)
def form_of(content_type: bytes) -> str | None:
    """Return `events` or `lines` for a Content-Type of a stream, parameters included; None for others."""
    return _FORMS.get(content_type.partition(b";")[0].strip().lower())


def is_no_end(piece: bytes, form: str | None) -> bool:
    """Return whether a piece of a stream, that begins between events, ends there too and is no last word."""
    return piece.endswith(b"\n\n" if form == EVENTS else b"\n") and _MAY_END.search(piece) is None


class AnswerReader:
    """Learns what an answer says of itself.

    Args:
        api: How it says it.
        form: What `form_of` says of the answer.

    Attributes:
        is_stream: Whether it comes as events or lines.
        is_complete: Whether its own last word was read; what follows changes nothing.
        has_failed: Whether it says that the work failed.
        is_load: Whether it only loaded or unloaded a model, and no inference was asked for.
        is_remote: Whether it says that another machine did the work.
        model: The model that it names.
        texts: Events with generated text so far; each stands for one token or more.
        raw: The last word on each count.
    """

    is_complete = False
    has_failed = False
    is_load = False
    is_remote = False
    model: str | None = None
    texts = 0
    _object: ObjectScanner | None = None
    _is_data_part = False
    _looks_for_model = _MOST_LOOKS_FOR_MODEL

    def __init__(self, api: Api, form: str | None) -> None:
        self.is_stream = form is not None
        self.raw: dict[str, int] = {}
        self._api = api
        self._cutter = LineCutter()
        self._data_lines: list[bytes] = []
        self._is_events = form == EVENTS
        self._line = self._event_line if self._is_events else self._object_line

    @property
    def is_between_events(self) -> bool:
        """Whether it is a stream that has come to the end of an event, or line, or to none yet."""
        is_within = self._cutter.is_within_line or self._object is not None or bool(self._data_lines)
        return self.is_stream and not is_within

    def feed(self, piece: bytes) -> None:
        """Read on."""
        if self.is_stream:
            for part in self._cutter.feed(piece):
                self._line(part)
        else:
            self._feed_object(piece)
            self._end_object_if_whole()

    def end(self) -> None:
        """Say that the answer has ended, in order or not."""
        for part in self._cutter.end():
            self._line(part)
        if self._is_events:
            self._end_event()

    def tokens(self) -> Tokens:
        """Return what was said so far."""
        return self._api.tokens(self.raw)

    # --- one object, or one object a line ------------------------------------------------------------------

    def _object_line(self, part: LinePart) -> None:
        if part.is_end and self._object is None:
            self._read_small(part.data)
            return
        self._feed_object(part.data)
        if part.is_end:
            self._end_object_if_whole()
            self._object = None

    def _read_small(self, data: bytes) -> None:
        self.texts += self._api.text.search(data) is not None
        if not self._looks_for_model and not self._api.interesting.search(data):
            return
        self._looks_for_model = max(self._looks_for_model - 1, 0)
        self._feed_object(data.strip())
        self._end_object_if_whole()
        self._object = None

    def _feed_object(self, piece: bytes) -> None:
        if self._object is None:
            self._object = ObjectScanner(self._api.wanted)
        self._object.feed(piece)

    def _end_object_if_whole(self) -> None:
        if self._object is not None and self._object.is_complete:
            self._learn(self._object.values)
            if not self.is_stream:
                self.is_complete = True

    # --- server-sent events --------------------------------------------------------------------------------

    def _event_line(self, part: LinePart) -> None:
        if self._is_data_part:  # the rest of a line too long to be held
            self._feed_object(part.data)
        elif part.data.startswith(b"data:"):
            self._data_line(part)
        elif not part.data and part.is_end:
            self._end_event()
        self._is_data_part = not part.is_end and (self._is_data_part or part.data.startswith(b"data:"))

    def _data_line(self, part: LinePart) -> None:
        data = part.data[5:]
        if part.is_end and self._object is None:
            self._data_lines.append(data)
            return
        for earlier in self._data_lines:
            self._feed_object(earlier + b"\n")
        self._data_lines.clear()
        self._feed_object(data)

    def _end_event(self) -> None:
        if self._object is not None:
            self._end_object_if_whole()
            self._object = None
        elif self._data_lines:
            data = b"\n".join(self._data_lines)
            self._data_lines.clear()
            if data.strip() == b"[DONE]":
                self.is_complete = True
            else:
                self._read_small(data)

    # --- what it means -------------------------------------------------------------------------------------

    def _learn(self, values: Mapping[KeyPath, Any]) -> None:
        self.raw |= self._api.fields(values)
        for path in (("model",), ("message", "model"), ("response", "model")):
            model = values.get(path)
            if isinstance(model, str) and model:
                self.model = model
                self._looks_for_model = 0
        kind = values.get(("type",))
        if values.get(("error",)) or values.get(("response", "error")) or kind in _FAILED_EVENT_TYPES:
            self.has_failed = True
        if self.is_stream and (values.get(("done",)) is True or kind in _LAST_EVENT_TYPES):
            self.is_complete = True
        if values.get(("done_reason",)) in _ONLY_LOADS and not self.raw:
            self.is_load = True
        if values.get(("remote_host",)) or values.get(("remote_model",)):
            self.is_remote = True
