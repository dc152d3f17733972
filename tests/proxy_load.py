"""A mixed load whose truth is known: what every request of it has to add to a proxy's totals."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp

__all__ = ["KINDS", "Truth", "body_of", "mixed_load", "run_load"]

KINDS = {
    "generate": "/api/generate",
    "chat": "/api/chat",
    "embed": "/api/embed",
    "oai-chat": "/v1/chat/completions",
    "oai-completions": "/v1/completions",
    "oai-embeddings": "/v1/embeddings",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
_EMBEDDINGS = {"embed", "oai-embeddings"}
_MODELS = ("tiny-llama:latest", "tiny-llama-b:latest")
_CALL_SECONDS = 120.0
_LONG_TOKENS = 1_000


@dataclass(kw_only=True)
class Truth:
    """What the clients of a load know.

    Attributes:
        tokens: Of requests that came to their end, by model and type.
        outcomes: Requests by how they ended.
        faults: What went wrong that was not asked for.
    """

    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def body_of(kind: str, *, model: str, words: int, tokens: int, stream: bool | None = None) -> dict[str, Any]:
    """Return the body of a request with so many words that allows so many tokens."""
    text = " ".join(["word"] * words)
    body: dict[str, Any] = {"model": model}
    if kind == "generate":
        body |= {"prompt": text, "options": {"num_predict": tokens}}
    elif kind in {"chat", "oai-chat", "messages"}:
        body |= {"messages": [{"role": "user", "content": text}]}
    elif kind == "oai-completions":
        body |= {"prompt": text}
    else:
        body |= {"input": text}
    if kind == "chat":
        body |= {"options": {"num_predict": tokens}}
    elif kind == "responses":
        body |= {"max_output_tokens": tokens}
    elif kind.startswith("oai") or kind == "messages":
        body |= {"max_tokens": tokens}
    return body if stream is None or kind in _EMBEDDINGS else body | {"stream": stream}


def mixed_load(
    count: int, seed: int, *, abort_share: float = 0.0, fault_share: float = 0.0
) -> list[dict[str, Any]]:
    """Return requests of all kinds, streamed and not, some to be aborted, some for which the engine dies."""
    chance = random.Random(seed)
    load = []
    for number in range(count):
        kind = chance.choice(list(KINDS))
        is_stream = kind not in _EMBEDDINGS and chance.random() < 0.6
        ends = "completed"
        if is_stream and chance.random() < abort_share:
            ends = "aborted"
        elif is_stream and chance.random() < fault_share:
            ends = "failed"
        load.append(
            {
                "number": number,
                "kind": kind,
                "model": chance.choice(_MODELS),
                "words": chance.randint(1, 60),
                # what is to be aborted lasts longer than any client is kept from it
                "tokens": chance.randint(4, 30) if ends != "aborted" else _LONG_TOKENS,
                "stream": is_stream,
                "asks_for_usage": chance.random() < 0.3,
                "gzip": chance.random() < 0.1,
                "ends": ends,
            }
        )
    return load


async def run_load(
    url: str, load: list[dict[str, Any]], *, at_once: int, truth: Truth | None = None
) -> Truth:
    """Send a load and return what its clients know."""
    truth = truth or Truth()
    turnstile = asyncio.Semaphore(at_once)
    timeout = aiohttp.ClientTimeout(total=_CALL_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:

        async def one(request: dict[str, Any]) -> None:
            async with turnstile:
                await _send(session, url, request, truth)

        await asyncio.gather(*(one(request) for request in load))
    return truth


async def _send(session: aiohttp.ClientSession, url: str, request: dict[str, Any], truth: Truth) -> None:
    kind = request["kind"]
    sizes = {key: request[key] for key in ("model", "words", "tokens", "stream")}
    body = body_of(kind, **sizes)
    if kind.startswith("oai") and request["stream"] and request["asks_for_usage"]:
        body["stream_options"] = {"include_usage": True}
    fault = {"aborted": "slow", "failed": "die"}.get(request["ends"], "gzip" if request["gzip"] else "")
    try:
        async with session.post(
            url + KINDS[kind], data=json.dumps(body), headers={"X-Fault": fault}
        ) as answer:
            if request["ends"] == "aborted":
                await answer.content.readany()
                answer.close()
            else:
                await answer.read()
                if answer.status != 200:
                    truth.faults.append(f"{request}: status {answer.status}")
    except aiohttp.ClientError as error:
        if request["ends"] != "failed":
            truth.faults.append(f"{request}: {error!r}")
            return
    else:
        if request["ends"] == "failed":
            truth.faults.append(f"{request}: came to an end in spite of its fault")
    truth.outcomes[request["ends"]] += 1
    if request["ends"] == "completed":
        truth.tokens[request["model"], "input"] += request["words"]
        truth.tokens[request["model"], "output"] += 0 if kind in _EMBEDDINGS else request["tokens"]
