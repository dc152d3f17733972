"""A stand-in for Ollama, as faithful as its recorded answers; run as a program, it listens on loopback.

Every answer has the form of a recorded one (`captures/ollama/responses`): the same keys in the same order, a
chunk for each line or event. Only the texts and counts differ, so that a test knows them: an answer has as
many tokens as the request allows, and the prompt as many as it has words.

A request may ask for a fault by the header `X-Fault`: `die` (cut off in the middle), `error` (an error within
the stream), `silent` (never an answer), `refuse` (status 500), `long-line` (a last line of 10 MB), `garbage`
(bytes that are no UTF-8), `slow` (a pause between tokens), `gzip` (compressed whatever was accepted). Unlike
Ollama it also tells usage on each event where it is asked to, as vLLM and SGLang do.
"""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from aiohttp import WSMsgType, web

from engine_process import ChildServer, free_port

__all__ = ["OllamaStandIn"]

_RESPONSES = Path(__file__).with_name("captures") / "ollama" / "responses"
_LONG_CONTEXT_BYTES = 10_000_000
_SLOW_SECONDS = 0.02
_WORDS = ("comp", "ate", " recipient", "ts", "IL", "Y", "pt", " ü")


class OllamaStandIn(ChildServer):
    """The stand-in as a process.

    Args:
        folder: For its log.
        port: Where it listens; None: a free one.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        port = port or free_port()
        command = [sys.executable, "-P", __file__, str(port)]
        super().__init__(
            command,
            port=port,
            log=folder / f"ollama-{port}.log",
            environment={"PYTHONPATH": str(Path(__file__).parent)},
        )


def _recorded(name):
    return (_RESPONSES / name).read_text(encoding="utf-8")


def _line(document):
    """Write JSON as Go does."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _events(name):
    """Return the documents of a recorded stream of events, with the name of each event or None."""
    found = []
    for event in _recorded(name).strip().split("\n\n"):
        named = None
        for line in event.splitlines():
            if line.startswith("event: "):
                named = line.removeprefix("event: ")
            elif line.startswith("data: ") and line != "data: [DONE]":
                found.append((named, json.loads(line.removeprefix("data: "))))
    return found


class _Asked:
    """What a request asks for, whichever API it speaks."""

    def __init__(self, path, body):
        self.path = path
        self.body = body
        default = path.startswith("/api/")
        self.is_stream = bool(body.get("stream", default))
        self.model = body.get("model", "")
        texts = [body.get("prompt") or "", body.get("input") or ""]
        texts += [message.get("content", "") for message in body.get("messages", ())]
        self.prompt_tokens = len(" ".join(str(text) for text in texts).split())
        options = body.get("options") or {}
        self.output_tokens = int(
            options.get("num_predict")
            or body.get("max_tokens")
            or body.get("max_output_tokens")
            or body.get("max_completion_tokens")
            or 8
        )
        options = body.get("stream_options") or {}
        self.wants_usage = bool(options.get("include_usage"))
        self.wants_running_usage = bool(options.get("continuous_usage_stats"))
        self.only_loads = path in {"/api/generate", "/api/chat"} and not self.prompt_tokens

    def texts(self):
        return [_WORDS[number % len(_WORDS)] for number in range(self.output_tokens)]


# --- Ollama's own -------------------------------------------------------------------------------------------


def _native(asked: _Asked) -> Iterator[str]:
    kind = "generate" if asked.path == "/api/generate" else "chat"
    *lines, last = (json.loads(line) for line in _recorded(f"api-{kind}-stream.ndjson").splitlines())
    for text in asked.texts():
        document = lines[0] | {"model": asked.model}
        yield _line(document | _native_text(kind, text))
    yield _line(_native_end(asked, last))


def _native_text(kind, text):
    return {"response": text} if kind == "generate" else {"message": {"role": "assistant", "content": text}}


def _native_end(asked, document):
    counts = {"prompt_eval_count": asked.prompt_tokens, "eval_count": asked.output_tokens}
    document = document | {"model": asked.model} | counts
    if asked.model.endswith("-cloud"):
        document |= {
            "remote_model": asked.model.removesuffix("-cloud"),
            "remote_host": "https://ollama.com:443",
        }
    return {key: value for key, value in document.items() if value != 0}  # it leaves out what is 0


def _native_whole(asked: _Asked) -> str:
    if asked.only_loads:
        return _line(json.loads(_recorded("api-generate-load-only.json")) | {"model": asked.model})
    kind = "generate" if asked.path == "/api/generate" else "chat"
    document = json.loads(_recorded(f"api-{kind}.json"))
    return _line(_native_end(asked, document) | _native_text(kind, "".join(asked.texts())))


# --- OpenAI's and Anthropic's -------------------------------------------------------------------------------


def _usage(asked):
    total = asked.prompt_tokens + asked.output_tokens
    return {
        "prompt_tokens": asked.prompt_tokens,
        "completion_tokens": asked.output_tokens,
        "total_tokens": total,
    }


def _chat(asked: _Asked) -> Iterator[str]:
    (_, first), *_, (_, end), (_, usage) = _events("v1-chat-stream-usage.sse.txt")
    for number, text in enumerate(asked.texts()):
        delta = ({"role": "assistant"} if number == 0 else {}) | {"content": text}
        document = first | {"model": asked.model, "choices": [first["choices"][0] | {"delta": delta}]}
        if asked.wants_running_usage:
            document |= {"usage": _usage(asked) | {"completion_tokens": number + 1}}
        yield f"data: {_line(document)}"
    yield f"data: {_line(end | {'model': asked.model})}"
    if asked.wants_usage:
        yield f"data: {_line(usage | {'model': asked.model, 'usage': _usage(asked)})}"
    yield "data: [DONE]"


def _completions(asked: _Asked) -> Iterator[str]:
    (_, first), *_, (_, end), (_, usage) = _events("v1-completions-stream-usage.sse.txt")
    shown = {} if asked.wants_usage else {"usage": None}
    for text in asked.texts():
        document = first | {"model": asked.model, "choices": [first["choices"][0] | {"text": text}]} | shown
        yield f"data: {_line({key: value for key, value in document.items() if value is not None})}"
    document = end | {"model": asked.model} | shown
    yield f"data: {_line({key: value for key, value in document.items() if value is not None})}"
    if asked.wants_usage:
        yield f"data: {_line(usage | {'model': asked.model, 'usage': _usage(asked)})}"
    yield "data: [DONE]"


def _messages(asked: _Asked) -> Iterator[str]:
    texts = iter(asked.texts())
    for name, document in _messages_events(asked, list(texts)):
        yield f"event: {name}\ndata: {_line(document)}"


def _messages_events(asked, texts):
    recorded = _events("v1-messages-stream.sse.txt")
    for name, document in recorded:
        if name == "message_start":
            message = document["message"] | {"model": asked.model}
            yield name, document | {"message": message}
        elif name == "content_block_delta":
            if texts:
                for text in texts:
                    yield name, document | {"delta": {"type": "text_delta", "text": text}}
                texts = []
        elif name == "message_delta":
            counts = {"input_tokens": asked.prompt_tokens, "output_tokens": asked.output_tokens}
            yield name, document | {"usage": counts}
        else:
            yield name, document


def _responses(asked: _Asked) -> Iterator[str]:
    for name, recorded in _events("v1-responses-stream.sse.txt"):
        document = recorded
        if name == "response.output_text.delta":
            for text in asked.texts():
                yield f"event: {name}\ndata: {_line(document | {'delta': text})}"
            continue
        if "response" in document:
            response = document["response"] | {"model": asked.model}
            if response.get("usage"):
                response |= {"usage": response["usage"] | _responses_usage(asked)}
            document = document | {"response": response}
        yield f"event: {name}\ndata: {_line(document)}"


def _responses_usage(asked):
    total = asked.prompt_tokens + asked.output_tokens
    return {"input_tokens": asked.prompt_tokens, "output_tokens": asked.output_tokens, "total_tokens": total}


def _whole(asked: _Asked) -> str:
    if asked.path.startswith("/api/embed"):
        vectors = [[0.001 * number for number in range(64)]]
        document = {"model": asked.model, "embeddings": vectors, "total_duration": 1, "load_duration": 1}
        return _line(document | {"prompt_eval_count": asked.prompt_tokens})
    if asked.path.startswith("/api/"):
        return _native_whole(asked)
    if asked.path == "/v1/embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": [0.001 * number for number in range(64)]}]
        usage = {"prompt_tokens": asked.prompt_tokens, "total_tokens": asked.prompt_tokens}
        return _line({"object": "list", "data": data, "model": asked.model, "usage": usage})
    if asked.path == "/v1/messages":
        _, start = _events("v1-messages-stream.sse.txt")[0]
        usage = {"input_tokens": asked.prompt_tokens, "output_tokens": asked.output_tokens}
        content = [{"type": "text", "text": "".join(asked.texts())}]
        message = start["message"] | {"model": asked.model, "content": content, "stop_reason": "max_tokens"}
        return _line(message | {"usage": usage})
    if asked.path == "/v1/responses":
        _, end = _events("v1-responses-stream.sse.txt")[-1]
        response = end["response"]
        return _line(response | {"model": asked.model, "usage": response["usage"] | _responses_usage(asked)})
    document = json.loads(_recorded("v1-chat.json"))
    return _line(document | {"model": asked.model, "usage": _usage(asked)}) + "\n"


_STREAMS = {
    "/api/generate": _native,
    "/api/chat": _native,
    "/v1/chat/completions": _chat,
    "/v1/completions": _completions,
    "/v1/messages": _messages,
    "/v1/responses": _responses,
}


# --- the server ---------------------------------------------------------------------------------------------


async def _inference(request: web.Request) -> web.StreamResponse:
    fault = request.headers.get("X-Fault", "")
    asked = _Asked(request.path, json.loads(await request.read()))
    if fault == "silent":
        await asyncio.sleep(3_600)
    if fault == "refuse":
        return web.json_response({"error": "it is full"}, status=500)
    if not asked.is_stream or asked.only_loads or asked.path not in _STREAMS:
        return await _answered_whole(request, asked, fault)
    is_native = asked.path.startswith("/api/")
    content_type = "application/x-ndjson" if is_native else "text/event-stream"
    response = web.StreamResponse(headers={"Content-Type": content_type})
    response.enable_chunked_encoding()
    if fault == "gzip":
        response.enable_compression(web.ContentCoding.gzip)
    await response.prepare(request)
    try:
        async for part in _faulty(request, _STREAMS[asked.path](asked), fault, asked.output_tokens):
            await response.write(part + (b"\n" if is_native else b"\n\n"))
    except ConnectionError:
        request.app["counts"]["aborted"] += 1
        raise
    await response.write_eof()
    request.app["counts"]["completed"] += 1
    return response


async def _faulty(
    request: web.Request, parts: Iterator[str], fault: str, output_tokens: int
) -> AsyncIterator[bytes]:
    middle = output_tokens // 2
    for number, part in enumerate(parts):
        if number == middle and fault == "die":
            request.transport.close()
            raise ConnectionResetError("asked to die")
        if number == middle and fault == "error":
            is_native = request.path.startswith("/api/")
            yield (
                b'{"error":"the runner died"}'
                if is_native
                else b'data: {"error":{"message":"the runner died"}}'
            )
            return
        if number == middle and fault == "garbage":
            yield (
                b'{"response":"\xff\xfe","done":false}' if request.path.startswith("/api/") else b": \xff\xfe"
            )
        if fault == "slow":
            await asyncio.sleep(_SLOW_SECONDS)
        data = part.encode()
        if fault == "long-line" and b'"done":true' in data:
            context = b",".join([b"1234567"] * (_LONG_CONTEXT_BYTES // 8))
            data = data.replace(b'"done":true', b'"context":[' + context + b'],"done":true')
        yield data


async def _answered_whole(request: web.Request, asked: _Asked, fault: str) -> web.Response:
    body = _whole(asked).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if fault == "gzip":
        body = gzip.compress(body)
        headers["Content-Encoding"] = "gzip"
    request.app["counts"]["completed"] += 1
    return web.Response(body=body, headers=headers)


def _fixed(name: str, content_type: str = "application/json; charset=utf-8", status: int = 200):
    body = _recorded(name).encode()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": content_type}, status=status)

    return answer


async def _root(_request: web.Request) -> web.Response:
    return web.Response(body=b"Ollama is running", headers={"Content-Type": "text/plain; charset=utf-8"})


async def _health(_request: web.Request) -> web.Response:
    return web.Response(text="the tests wait for this; Ollama has no such path")


async def _counts(request: web.Request) -> web.Response:
    return web.json_response(request.app["counts"])


async def _blob(request: web.Request) -> web.Response:
    """Take an upload of any size, and say how long it was."""
    length = 0
    async for piece in request.content.iter_any():
        length += len(piece)
    return web.json_response({"bytes": length, "headers": dict(request.headers)}, status=201)


async def _echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


def _application() -> web.Application:
    application = web.Application(client_max_size=1 << 30)
    application["counts"] = {"completed": 0, "aborted": 0}
    for path in (*_STREAMS, "/api/embed", "/v1/embeddings"):
        application.router.add_post(path, _inference)
    application.router.add_get("/", _root)
    application.router.add_get("/health", _health)
    application.router.add_get("/stand-in/counts", _counts)
    application.router.add_post("/api/blobs/{digest}", _blob)
    application.router.add_get("/stand-in/socket", _echo)
    application.router.add_get("/api/ps", _fixed("api-ps-one-loaded.json"))
    application.router.add_get("/api/tags", _fixed("api-tags.json"))
    application.router.add_get("/api/version", _fixed("api-version.json"))
    application.router.add_get("/v1/models", _fixed("v1-models.json"))
    application.router.add_get("/metrics", _fixed("metrics-404.txt", "text/plain", 404))
    return application


if __name__ == "__main__":
    web.run_app(
        _application(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        print=None,
        access_log=None,
        shutdown_timeout=0.1,
    )
