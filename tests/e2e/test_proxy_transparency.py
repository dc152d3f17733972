"""What a client sees through the proxy is what it sees without: status, headers, bytes, chunks."""

import gzip
import json
import re
import subprocess

import ollama as ollama_client
import openai
import pytest

from ollama_stand_in import OllamaStandIn
from proxy_load import KINDS, body_of
from proxy_process import ProxyProcess
from raw_http import answer_of, exchanged, request_bytes

pytest_plugins = ["llama_fixtures"]

BETWEEN_NEIGHBOURS = {"connection", "keep-alive", "transfer-encoding", "date"}
VARYING = [
    rb'"created":\d+',
    rb'"created_at":[\d.e+]+',
    rb'"id":"[^"]*"',
    rb'"(?:prompt|predicted)_(?:ms|per_token_ms|per_second)":[\d.e+-]+',
    rb'"modified_at":"[^"]*"',
    # What an earlier request left in the cache; for messages it is no part of the input.
    rb'"(?:cache_n|prompt_n|cached_tokens|cache_read_input_tokens|input_tokens)":\d+',
]
"""What differs between two answers of llama.cpp to one and the same request."""


@pytest.fixture(scope="module")
def ollama(tmp_path_factory):
    """Return a stand-in that the tests of this module share."""
    engine = OllamaStandIn(tmp_path_factory.mktemp("ollama"))
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(scope="module")
def before_ollama(ollama, tmp_path_factory):
    """Return a proxy before the stand-in."""
    with ProxyProcess(ollama.url, tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture(scope="module")
def before_llama(llama_server, tmp_path_factory):
    """Return a proxy before a real llama.cpp server."""
    with ProxyProcess(llama_server.url, tmp_path_factory.mktemp("proxy")) as running:
        yield running


def masked(data):
    """Return an answer without what differs between two of them."""
    for pattern in VARYING:
        data = re.sub(pattern, b"~", data)
    return data


def shown_headers(answer):
    """Return the headers that the engine meant for the client."""
    return [(name, value) for name, value in answer.headers if name.lower() not in BETWEEN_NEIGHBOURS]


def both(engine_port, proxy_port, request):
    """Return the answers to one request, without the proxy and through it."""
    return answer_of(exchanged(engine_port, request)), answer_of(exchanged(proxy_port, request))


LLAMA_REQUESTS = {
    "health": ("GET", "/health", None),
    "models": ("GET", "/v1/models", None),
    "head": ("HEAD", "/v1/models", None),
    "options": ("OPTIONS", "/v1/chat/completions", None),
    "missing": ("GET", "/no/such/path?a=%2F&b=%C3%BC", None),
    "slots": ("GET", "/slots", None),
    "tokenize": ("POST", "/tokenize", {"content": "hello there"}),
    "chat": ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
    "chat-stream": (
        "POST",
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "hi"}], "stream": True},
    ),
    "chat-usage": (
        "POST",
        "/v1/chat/completions",
        {
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ),
    "completions": ("POST", "/v1/completions", {"prompt": "once upon"}),
    "completions-stream": ("POST", "/v1/completions", {"prompt": "once upon", "stream": True}),
    "native-stream": ("POST", "/completion", {"prompt": "once upon", "stream": True}),
    "messages-stream": (
        "POST",
        "/v1/messages",
        {"messages": [{"role": "user", "content": "hi"}], "stream": True},
    ),
    "wrong-body": ("POST", "/v1/chat/completions", {"messages": "no list"}),
}


@pytest.mark.parametrize("name", LLAMA_REQUESTS)
def test_llama_cpp_answers_the_same_with_and_without_the_proxy(llama_server, before_llama, name):
    """A recorded corpus, a fixed seed: status, headers, bytes and chunks."""
    method, path, document = LLAMA_REQUESTS[name]
    fixed = {"seed": 3, "temperature": 0, "max_tokens": 6, "n_predict": 6}
    body = b"" if document is None else json.dumps(document | fixed).encode()

    direct, proxied = both(llama_server.port, before_llama.port, request_bytes(method, path, body))

    assert proxied.status == direct.status
    assert [name for name, _ in shown_headers(proxied)] == [name for name, _ in shown_headers(direct)]
    assert masked(proxied.body) == masked(direct.body)
    assert [masked(chunk) for chunk in proxied.chunks] == [masked(chunk) for chunk in direct.chunks]
    assert proxied.is_whole == direct.is_whole


def test_the_totals_of_llama_cpp_are_those_of_its_own_page(llama_server, before_llama):
    """Streams without usage too: the server's own counters moved by as much as the proxy's."""
    before, counted = llama_server.counters_when_idle(), before_llama.tokens()
    for name in ("chat", "chat-stream", "completions-stream", "native-stream", "messages-stream"):
        method, path, document = LLAMA_REQUESTS[name]
        body = json.dumps(document | {"max_tokens": 6, "n_predict": 6, "temperature": 0}).encode()
        assert answer_of(exchanged(before_llama.port, request_bytes(method, path, body))).is_whole
    after, found = llama_server.counters_when_idle(), before_llama.tokens()

    assert found["output"] - counted["output"] == after.output_tokens - before.output_tokens
    assert found["input"] - counted["input"] == after.input_tokens - before.input_tokens
    assert found["cached_input"] - counted["cached_input"] == (
        after.cached_input_tokens - before.cached_input_tokens
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", ["", "gzip", "error", "refuse"])
def test_ollama_answers_the_same_to_the_byte(ollama, before_ollama, kind, stream, fault):
    """Also where the proxy asked for a usage that the client did not: chunk for chunk."""
    body = json.dumps(body_of(kind, model="tiny-llama", words=4, tokens=5, stream=stream)).encode()
    request = request_bytes("POST", KINDS[kind], body, X_Fault=fault)

    direct, proxied = both(ollama.port, before_ollama.port, request)

    assert proxied.status == direct.status
    assert shown_headers(proxied) == shown_headers(direct)
    if direct.header("Content-Encoding") == "gzip":  # what was hidden in it is packed anew
        assert gzip.decompress(proxied.body) == gzip.decompress(direct.body)
    else:
        assert proxied.body == direct.body
        assert proxied.chunks == direct.chunks
    assert proxied.is_whole
    assert direct.is_whole


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/api/tags"),
        ("DELETE", "/api/tags"),
        ("GET", "//api/../api/tags"),
    ],
)
def test_other_paths_and_methods_come_through(ollama, before_ollama, method, path):
    """As the client wrote them, and the engine's refusals too."""
    direct, proxied = both(ollama.port, before_ollama.port, request_bytes(method, path))

    assert proxied.status == direct.status
    assert shown_headers(proxied) == shown_headers(direct)
    assert proxied.body == direct.body


def test_an_answer_that_breaks_off_breaks_off_for_the_client(ollama, before_ollama):
    """No end is made up where the engine gave none."""
    body = json.dumps(body_of("chat", model="tiny-llama", words=4, tokens=10, stream=True)).encode()

    direct, proxied = both(
        ollama.port, before_ollama.port, request_bytes("POST", "/api/chat", body, X_Fault="die")
    )

    assert not direct.is_whole
    assert not proxied.is_whole
    assert proxied.chunks == direct.chunks


def test_the_engine_sees_the_request_as_the_client_wrote_it(ollama, before_ollama):
    """Headers with their spelling and repeats, the Host, and the length of the body."""
    request = request_bytes(
        "POST", "/api/blobs/sha256:1", b"x" * 1000, X_MiXed="A", Cookie="a=1", Accept="x/y"
    )

    direct, proxied = both(ollama.port, before_ollama.port, request)

    ours, theirs = json.loads(proxied.body), json.loads(direct.body)
    ours["headers"].pop("Connection", None)
    theirs["headers"].pop("Connection", None)
    assert ours == theirs


def test_the_openai_client_works_through_the_proxy(before_ollama):
    """Whole, streamed, with and without usage, and embeddings: the official library sees nothing of it."""
    counted = before_ollama.tokens(counted="exact")
    client = openai.OpenAI(base_url=f"{before_ollama.url}/v1", api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "one two three"}]
    options = {"model": "tiny-llama", "messages": messages, "max_tokens": 5}

    whole = client.chat.completions.create(**options)
    plain = list(client.chat.completions.create(**options, stream=True))
    asked = list(
        client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True})
    )
    vectors = client.embeddings.create(model="tiny-llama", input="one two", encoding_format="float")
    client.close()

    assert whole.usage.completion_tokens == 5
    assert all(chunk.choices and chunk.usage is None for chunk in plain)
    assert asked[-1].usage.prompt_tokens == 3
    assert vectors.usage.prompt_tokens == 2
    found = before_ollama.tokens(counted="exact")
    assert found["input"] - counted["input"] == 3 * 3 + 2
    assert found["output"] - counted["output"] == 3 * 5


def test_the_ollama_client_works_through_the_proxy(before_ollama):
    """Chat and generate, streamed and whole, embeddings and listings, with the official library."""
    counted = before_ollama.tokens(counted="exact")
    client = ollama_client.Client(host=before_ollama.url)
    messages = [{"role": "user", "content": "one two three"}]

    whole = client.chat(model="tiny-llama", messages=messages, options={"num_predict": 5})
    parts = list(client.chat(model="tiny-llama", messages=messages, options={"num_predict": 5}, stream=True))
    generated = list(
        client.generate(model="tiny-llama", prompt="a b", options={"num_predict": 2}, stream=True)
    )
    vectors = client.embed(model="tiny-llama", input="one two")
    listed = client.list()
    client._client.close()

    assert whole.eval_count == 5
    assert len(parts) == 6
    assert generated[-1].eval_count == 2
    assert vectors.prompt_eval_count == 2
    assert listed.models
    found = before_ollama.tokens(counted="exact")
    assert found["input"] - counted["input"] == 3 + 3 + 2 + 2
    assert found["output"] - counted["output"] == 5 + 5 + 2


def test_curl_sees_each_line_as_it_comes(before_ollama):
    """`curl -N` prints the first line long before the last one is there."""
    body = json.dumps(body_of("chat", model="tiny-llama", words=2, tokens=100, stream=True))
    command = [
        "curl",
        "-sN",
        "--noproxy",
        "*",
        "-H",
        "X-Fault: slow",
        "-d",
        body,
        f"{before_ollama.url}/api/chat",
    ]

    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        first = json.loads(curl.stdout.readline())
        is_running = curl.poll() is None
        curl.kill()

    assert first["done"] is False
    assert is_running
