"""A bounded load for an OpenAI-style server on this machine, which adds up what the answers say they used."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

import requests

from engine_process import loopback_session

__all__ = ["Request", "Usage", "mixed_requests", "send"]

Endpoint = Literal["chat", "completions"]

_MOST_REQUESTS = 2_000
_MOST_WORKERS = 8
_ANSWER_SECONDS = 60.0
_ENDPOINTS: tuple[Endpoint, ...] = ("chat", "completions")
_WORDS = ("the watt hour of a token and its price", "energy cost per answer", "idle load is not free power")
_SHARED_PREFIX = " ".join(_WORDS) * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        endpoint: Of the OpenAI API: a conversation or a bare prompt.
        is_streamed: Whether the answer comes in chunks, the usage in the last one.
        abort_after_chunks: Hang up after so many chunks with text; the request must be streamed.
    """

    prompt: str
    max_tokens: int = 16
    endpoint: Endpoint = "chat"
    is_streamed: bool = False
    abort_after_chunks: int | None = None

    def __post_init__(self) -> None:
        if self.abort_after_chunks is not None and not self.is_streamed:
            raise ValueError(
                "Only a streamed request can be aborted after some chunks; set is_streamed=True."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the answers say they used, summed over all answered requests; aborted ones never tell.

    Attributes:
        input_tokens: Prompt tokens computed, without the cached ones.
        aborted: Requests that were hung up on. One that ended before its last awaited chunk is answered.
        finish_reasons: Choices by how they ended, such as `stop` and `length`.
    """

    answered: int = 0
    aborted: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    finish_reasons: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            answered=self.answered + other.answered,
            aborted=self.aborted + other.aborted,
            input_tokens=self.input_tokens + other.input_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            finish_reasons=Counter(self.finish_reasons) + Counter(other.finish_reasons),
        )


def mixed_requests(count: int, *, seed: int = 0, max_tokens: int = 16) -> list[Request]:
    """Return a mixture: chat and completions, streamed and not, sharing a prefix and not, in equal parts."""
    words = random.Random(seed)
    kinds = itertools.product(_ENDPOINTS, (False, True), ("", _SHARED_PREFIX))
    return [
        Request(
            prompt=f"{prefix} {words.choice(_WORDS)} {words.randrange(10**6)}",
            max_tokens=max_tokens,
            endpoint=endpoint,
            is_streamed=is_streamed,
        )
        for endpoint, is_streamed, prefix in itertools.islice(itertools.cycle(kinds), count)
    ]


def send(url: str, model: str, load: Sequence[Request], *, workers: int = 2) -> Usage:
    """Send all requests, a few at a time, and return what the answers say they used.

    Args:
        url: The server's address, on this machine.
        model: The name that it serves.
        load: At most 2,000 requests.
        workers: Requests under way at once, at most 8.

    Raises:
        ValueError: It is not for this machine, or too much.
        RuntimeError: A request was refused, or answered without its usage.
        requests.RequestException: The server went away.
    """
    _refuse_other_hosts(url)
    if len(load) > _MOST_REQUESTS or not 1 <= workers <= _MOST_WORKERS:
        raise ValueError(
            f"{len(load)} requests by {workers} workers are out of bounds; "
            f"send at most {_MOST_REQUESTS} by 1 to {_MOST_WORKERS}."
        )
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(lambda request: _send_one(url, model, request), load), start=Usage())


def _refuse_other_hosts(url: str) -> None:
    host = urlsplit(url).hostname or ""
    if host != "localhost" and not _is_loopback(host):
        raise ValueError(f"{url} is not on this machine; a load is sent to loopback addresses only.")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _send_one(url: str, model: str, request: Request) -> Usage:
    path = "/v1/chat/completions" if request.endpoint == "chat" else "/v1/completions"
    # Leaving the block closes the connection: that is the abort where the answer was not read to its end.
    with (
        loopback_session() as session,
        session.post(
            f"{url}{path}", json=_body(model, request), stream=request.is_streamed, timeout=_ANSWER_SECONDS
        ) as answer,
    ):
        if not answer.ok:
            raise RuntimeError(
                f"{url}{path} refused a request with {answer.status_code}: {answer.text[:500]}"
            )
        return _usage(_chunks(answer) if request.is_streamed else [answer.json()], request.abort_after_chunks)


def _body(model: str, request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens, "temperature": 1.0}
    if request.endpoint == "chat":
        body["messages"] = [{"role": "user", "content": request.prompt}]
    else:
        body["prompt"] = request.prompt
    if request.is_streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.abort_after_chunks is not None:
        body["ignore_eos"] = True
    return body


def _chunks(answer: requests.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith(b"data: ") and line != b"data: [DONE]":
            yield json.loads(line.removeprefix(b"data: "))


def _usage(answer: Iterable[dict[str, Any]], abort_after_chunks: int | None) -> Usage:
    """Return the usage of one answer, whole or in chunks; None of it where the abort comes first."""
    chunks_with_text = 0
    finish_reasons: Counter[str] = Counter()
    usage = None
    for chunk in answer:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            finish_reasons.update(filter(None, [choice.get("finish_reason")]))
            chunks_with_text += bool(choice.get("text") or choice.get("delta", {}).get("content"))
        if abort_after_chunks is not None and chunks_with_text >= abort_after_chunks:
            return Usage(aborted=1)
    if usage is None:
        raise RuntimeError(
            "An answer ended without its usage, so its tokens are unknown; expected one in the last chunk."
        )
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return Usage(
        answered=1,
        input_tokens=usage["prompt_tokens"] - cached,
        cached_input_tokens=cached,
        output_tokens=usage["completion_tokens"],
        finish_reasons=finish_reasons,
    )
