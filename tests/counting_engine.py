"""A process that counts like vLLM and answers like vLLM's metrics page, or like a page gone bad.

    python counting_engine.py --port 0 --truth truth.jsonl

What it has counted is a pure function of the time since its start (the `--*-rate` options) and of what
POST /work added. It writes its exact totals into the truth file before each page it sends and at the end: a
test knows what a killed engine had counted at its last page. It needs the standard library alone and imports
nothing of the project. Its first line of output is its address. It holds a bounded number of connections,
each for a bounded time, in bounded memory, and ends by itself after `--life` seconds.

    GET  /metrics, /health, /version, /v1/models
    POST /work     {"model": NAME or null, "input_tokens": N, ...}    count these at once; null: the first
    POST /rates    {"input_tokens": N, ...}       count these each second from now on, for each model
    POST /running  {"requests": N or null}        show N running requests; null: one while a rate is not zero
    POST /mode     {"mode": NAME}                 answer /metrics this way: a name of MODES
"""

import argparse
import dataclasses
import gzip
import itertools
import json
import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["MODES", "Counts", "counted"]

_Labels = Mapping[str, str]

_NANOSECONDS = 10**9
_PAGE_TYPE = "text/plain; version=1.0.0; charset=utf-8"
_VERSION = "0.32.0"

_MOST_CONNECTIONS = 64
_MOST_BODY_BYTES = 1 << 20
_HOLD_SECONDS = 60.0
_DRIP_BYTES = 16
_DRIP_SECONDS = 0.05
_POLL_SECONDS = 0.05
_BLOCK_BYTES = 1 << 16
# Enough to show in the memory of a reader that has no bound, and not enough to end a machine.
_ENDLESS_BYTES = 1 << 29
_BOMB_BYTES = 1 << 30
_BOMB_MEMBERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Totals of one model, or what is added to them.

    Attributes:
        input_tokens: Prompt tokens computed; vLLM's page shows them with the cached ones in one number.
    """

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    completed_requests: int = 0

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} is {value!r}; expected a whole number that is not negative.")

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: value + getattr(other, name) for name, value in self.as_dict().items()})

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by name."""
        return dataclasses.asdict(self)


def counted(rates: Counts, elapsed_nanoseconds: int) -> Counts:
    """Return what these rates a second amount to, in whole tokens."""
    return Counts(
        **{name: rate * elapsed_nanoseconds // _NANOSECONDS for name, rate in rates.as_dict().items()}
    )


class Totals(NamedTuple):
    """What had been counted at one instant, by model."""

    boot_nanoseconds: int
    by_model: Mapping[str, Counts]


class Work:
    """What has been counted, by model; every method may be called from any thread.

    Args:
        models: Their names.
        rates: Of each model.
    """

    def __init__(self, models: Sequence[str], rates: Counts) -> None:
        self._lock = threading.Lock()
        self._rates = rates
        self._since_nanoseconds = _boot_nanoseconds()
        self._before = dict.fromkeys(models, Counts())
        self._requests_running: int | None = None

    def totals(self) -> "Totals":
        """Return the totals of all models at this instant."""
        with self._lock:
            now = _boot_nanoseconds()
            return Totals(now, self._totals(now))

    def add(self, model: str | None, amounts: Counts) -> None:
        """Count these amounts for one model; None: the first."""
        with self._lock:
            name = next(iter(self._before)) if model is None else model
            self._before[name] += amounts

    def set_rates(self, rates: Counts) -> None:
        """Count at these rates from now on; parts of a token counted so far are dropped."""
        with self._lock:
            now = _boot_nanoseconds()
            self._before, self._since_nanoseconds, self._rates = self._totals(now), now, rates

    def set_running(self, requests: int | None) -> None:
        """Show this many running requests; None: one while a rate is not zero."""
        with self._lock:
            self._requests_running = requests

    def requests_running(self) -> int:
        """Return the gauge of each model."""
        with self._lock:
            return int(self._rates != Counts()) if self._requests_running is None else self._requests_running

    def _totals(self, now_nanoseconds: int) -> dict[str, Counts]:
        since = counted(self._rates, now_nanoseconds - self._since_nanoseconds)
        return {model: before + since for model, before in self._before.items()}


class Truth:
    """The file that outlives the process: one JSON object a line, written through before the page is sent."""

    def __init__(self, path: Path) -> None:
        # One unbuffered write a line: SIGKILL leaves whole lines only.
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def append(self, event: str, mode: str, totals: Totals) -> None:
        """Write what had been counted; `event` is `page` or `stop`, `mode` how the page is sent."""
        line = {
            "event": event,
            "mode": mode,
            "pid": os.getpid(),
            "utc_seconds": time.time(),
            "boot_seconds": totals.boot_nanoseconds / _NANOSECONDS,
            "models": {model: counts.as_dict() for model, counts in totals.by_model.items()},
        }
        with self._lock:
            self._file.write(json.dumps(line).encode() + b"\n")


def _boot_nanoseconds() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class _Page:
    """A page in the text format, written the way Python's client library writes it.

    Args:
        created_seconds: What the `_created` series say; None: the page has none, as in multiprocess mode.
    """

    def __init__(self, created_seconds: float | None) -> None:
        self._created_seconds = created_seconds
        self._lines: list[str] = []

    def render(self) -> bytes:
        """Return the page."""
        return "".join(f"{line}\n" for line in self._lines).encode()

    def gauge(self, name: str, series: Sequence[tuple[_Labels, float]]) -> None:
        """Add a family whose values go up and down."""
        self._family(name, "gauge")
        for labels, value in series:
            self._sample(name, labels, value)

    def counter(self, name: str, series: Sequence[tuple[_Labels, float]]) -> None:
        """Add a family of totals; the name is given without `_total`."""
        self._family(f"{name}_total", "counter")
        for labels, value in series:
            self._sample(f"{name}_total", labels, value)
        self._created(name, series)

    def summary(self, name: str, typical: float, series: Sequence[tuple[_Labels, int]]) -> None:
        """Add a family of observations that were all `typical`, with their number for each label set."""
        self._family(name, "summary")
        for labels, count in series:
            self._sample(f"{name}_count", labels, count)
            self._sample(f"{name}_sum", labels, count * typical)
        self._created(name, series)

    def histogram(self, shape: "_Histogram", series: Sequence[tuple[_Labels, int]]) -> None:
        """Add a family of observations that were all typical, with their number for each label set."""
        self._family(shape.name, "histogram")
        for labels, count in series:
            for edge in (*shape.edges, float("inf")):
                below = count if shape.typical <= edge else 0
                self._sample(f"{shape.name}_bucket", {**labels, "le": _number(edge)}, below)
            self._sample(f"{shape.name}_count", labels, count)
            self._sample(f"{shape.name}_sum", labels, count * shape.typical)
        self._created(shape.name, series)

    def _created(self, name: str, series: Sequence[tuple[_Labels, float]]) -> None:
        if self._created_seconds is not None and series:
            self.gauge(f"{name}_created", [(labels, self._created_seconds) for labels, _ in series])

    def _family(self, name: str, kind: str) -> None:
        text = name.rpartition(":")[2].replace("_", " ")
        self._lines += [f"# HELP {name} The engine's {text}.", f"# TYPE {name} {kind}"]

    def _sample(self, name: str, labels: _Labels, value: float) -> None:
        pairs = ",".join(f'{label}="{_escaped(labels[label])}"' for label in sorted(labels))
        self._lines.append(f"{name}{{{pairs}}} {_number(value)}" if pairs else f"{name} {_number(value)}")


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    """Write a number as Go does: with an exponent from a million on."""
    if value == float("inf"):
        return "+Inf"
    text = repr(float(value))
    whole, _, fraction = text.partition(".")
    if len(whole) <= 6 or "e" in text:
        return text
    digits = (whole + fraction).rstrip("0")
    return f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e+{len(whole) - 1:02}"


@dataclass(frozen=True, slots=True)
class _Histogram:
    """The shape of a histogram family, and the one value that all its observations have."""

    name: str
    edges: tuple[float, ...]
    typical: float


_SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)
_POWERS = (1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0)
_FINE = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75)
_COARSE = (1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, *_COARSE, 160.0, 640.0, 2560.0)
_MINUTES = (10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0)
_PHASES = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, *_MINUTES)
_HALVES = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
_HTTP_FINE = (0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, *_HALVES, 7.5, 10.0, 30.0, 60.0)

_REQUEST_HISTOGRAMS = (
    _Histogram("vllm:request_prompt_tokens", _SIZES, 150.0),
    _Histogram("vllm:request_generation_tokens", _SIZES, 20.0),
    _Histogram("vllm:iteration_tokens_total", _POWERS, 48.0),
    _Histogram("vllm:request_max_num_generation_tokens", _SIZES, 20.0),
    _Histogram("vllm:request_params_n", _SIZES[:5], 1.0),
    _Histogram("vllm:request_params_max_tokens", _SIZES, 64.0),
    _Histogram("vllm:time_to_first_token_seconds", _FIRST, 0.05),
    _Histogram("vllm:inter_token_latency_seconds", (*_FINE, *_COARSE), 0.02),
    _Histogram("vllm:request_time_per_output_token_seconds", (*_FINE, *_COARSE), 0.02),
    _Histogram("vllm:e2e_request_latency_seconds", _PHASES, 0.5),
    _Histogram("vllm:request_queue_time_seconds", _PHASES, 0.0),
    _Histogram("vllm:request_inference_time_seconds", _PHASES, 0.5),
    _Histogram("vllm:request_prefill_time_seconds", _PHASES, 0.125),
    _Histogram("vllm:request_decode_time_seconds", _PHASES, 0.375),
    _Histogram("vllm:request_num_preemptions", (1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0), 0.0),
    _Histogram("vllm:request_prefill_kv_computed_tokens", _SIZES, 100.0),
)
_HTTP_TOTAL_TIME = _Histogram("http_request_duration_highr_seconds", _HTTP_FINE, 0.5)
_HTTP_TIME = _Histogram("http_request_duration_seconds", (0.1, 0.5, 1.0), 0.5)


def _counters(counts: Counts) -> dict[tuple[str, str], dict[str, int]]:
    """Return a model's counters: by name and extra label, the totals by that label's value ("" without)."""
    prompt, cached = counts.input_tokens + counts.cached_input_tokens, counts.cached_input_tokens
    cut_short = counts.completed_requests // 4
    return {
        ("estimated_flops_per_gpu", ""): {"": 0},
        ("estimated_read_bytes_per_gpu", ""): {"": 0},
        ("estimated_write_bytes_per_gpu", ""): {"": 0},
        ("prefix_cache_queries", ""): {"": prompt},
        ("prefix_cache_hits", ""): {"": cached},
        ("external_prefix_cache_queries", ""): {"": 0},
        ("external_prefix_cache_hits", ""): {"": 0},
        ("mm_cache_queries", ""): {"": 0},
        ("mm_cache_hits", ""): {"": 0},
        ("num_preemptions", ""): {"": 0},
        ("prompt_tokens", ""): {"": prompt},
        ("prompt_tokens_by_source", "source"): {
            "local_compute": counts.input_tokens,
            "local_cache_hit": cached,
            "external_kv_transfer": 0,
        },
        ("prompt_tokens_cached", ""): {"": cached},
        ("prompt_tokens_cached_by_source", "source"): {
            "device": cached,
            **dict.fromkeys(("host", "p2p", "disk", "external_unspecified"), 0),
        },
        ("generation_tokens", ""): {"": counts.output_tokens},
        ("request_success", "finished_reason"): {
            "stop": counts.completed_requests - cut_short,
            "length": cut_short,
            **dict.fromkeys(("abort", "error", "repetition"), 0),
        },
        ("admission_rejections", "reason"): {},
    }


def _vllm_page(
    totals: Mapping[str, Counts], *, requests_running: int, started_utc_seconds: float | None, handlers: int
) -> bytes:
    """Return the page of vLLM 0.32: its families, labels and order, with help texts of our own.

    Args:
        totals: By model.
        requests_running: Of each model.
        started_utc_seconds: None: multiprocess mode, where the page tells nothing of the process nor of when
            series began, and has no gauges before the first request.
        handlers: How many HTTP routes have been called; each adds lines.
    """
    page = _Page(started_utc_seconds)
    if started_utc_seconds is not None:
        _add_process(page, started_utc_seconds)
    if started_utc_seconds is not None or any(counts != Counts() for counts in totals.values()):
        _add_gauges(page, totals, requests_running)
    _add_counters(page, totals)
    requests = [(_model_labels(model), counts.completed_requests) for model, counts in totals.items()]
    for shape in _REQUEST_HISTOGRAMS:
        page.histogram(shape, requests)
    _add_http(page, sum(count for _, count in requests), handlers)
    return page.render()


def _model_labels(model: str) -> dict[str, str]:
    return {"engine": "0", "model_name": model}


def _add_counters(page: _Page, totals: Mapping[str, Counts]) -> None:
    by_model = {model: _counters(counts) for model, counts in totals.items()}
    for name, extra in _counters(Counts()):
        series = [
            (_model_labels(model) | ({extra: kind} if extra else {}), value)
            for model, counters in by_model.items()
            for kind, value in counters[name, extra].items()
        ]
        page.counter(f"vllm:{name}", series)


def _add_process(page: _Page, started_utc_seconds: float) -> None:
    python = {
        "implementation": "CPython",
        "major": "3",
        "minor": "12",
        "patchlevel": "11",
        "version": "3.12.11",
    }
    page.gauge("python_info", [(python, 1)])
    page.gauge("process_virtual_memory_bytes", [({}, 1_994_371_072)])
    page.gauge("process_resident_memory_bytes", [({}, 646_623_232)])
    page.gauge("process_start_time_seconds", [({}, round(started_utc_seconds, 2))])
    page.gauge("process_open_fds", [({}, 34)])
    page.gauge("process_max_fds", [({}, 20_000)])


def _add_gauges(page: _Page, totals: Mapping[str, Counts], requests_running: int) -> None:
    models = [_model_labels(model) for model in totals]

    def each(value: float, **extra: str) -> list[tuple[_Labels, float]]:
        return [(labels | extra, value) for labels in models]

    page.gauge("vllm:num_requests_running", each(requests_running))
    page.gauge("vllm:num_requests_waiting", each(0))
    page.gauge("vllm:num_requests_waiting_by_reason", each(0, reason="capacity") + each(0, reason="deferred"))
    asleep = each(0, sleep_state="weights_offloaded") + each(0, sleep_state="discard_all")
    page.gauge("vllm:engine_sleep_state", each(1, sleep_state="awake") + asleep)
    page.gauge("vllm:kv_cache_usage_perc", each(0.25))
    cache = {"block_size": "128", "cache_dtype": "auto", "enable_prefix_caching": "True", "engine": "0"}
    page.gauge("vllm:cache_config_info", [(cache, 1)])


def _add_http(page: _Page, requests: int, handlers: int) -> None:
    """Add the web framework's families; all requests went to the first route."""
    routes = [("/v1/chat/completions", requests), *((f"/v1/route-{i}", 0) for i in range(1, handlers))]
    by_route = [({"handler": route}, count) for route, count in routes]
    posts = [({**labels, "method": "POST"}, count) for labels, count in by_route]
    answered = [({**labels, "status": "2xx"}, count) for labels, count in posts]
    page.counter("http_requests", answered)
    page.summary("http_request_size_bytes", 400.0, by_route)
    page.summary("http_response_size_bytes", 800.0, by_route)
    page.histogram(_HTTP_TOTAL_TIME, [({}, requests)])
    page.histogram(_HTTP_TIME, posts)


class Engine:
    """What the process serves.

    Args:
        work: What it counts.
        truth: Where it writes down what it counted.
        lines: How many lines its page has at least.
        started_utc_seconds: None: multiprocess mode.
    """

    def __init__(self, work: Work, truth: Truth, *, lines: int, started_utc_seconds: float | None) -> None:
        self.work = work
        self.truth = truth
        self.mode = "ok"
        self.models = tuple(work.totals().by_model)
        self._started_utc_seconds = started_utc_seconds
        self._handlers = self._handlers_for(lines)

    def page(self) -> bytes:
        """Return the page of this moment, whose totals the truth now holds."""
        totals = self.work.totals()
        self.truth.append("page", self.mode, totals)
        return self._render(totals.by_model, self._handlers)

    def _render(self, totals: Mapping[str, Counts], handlers: int) -> bytes:
        return _vllm_page(
            totals,
            requests_running=self.work.requests_running(),
            started_utc_seconds=self._started_utc_seconds,
            handlers=handlers,
        )

    def _handlers_for(self, lines: int) -> int:
        busy = dict.fromkeys(self.models, Counts())
        one, two = (self._render(busy, handlers).count(b"\n") for handlers in (1, 2))
        return 1 + max(0, math.ceil((lines - one) / (two - one)))


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: "_Server"
    protocol_version = "HTTP/1.1"
    server_version = "uvicorn"
    sys_version = ""
    timeout = _HOLD_SECONDS
    disable_nagle_algorithm = True

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the log of a long run stays small."""

    def do_GET(self) -> None:
        engine = self.server.engine
        if self.path == "/metrics":
            MODES[engine.mode](self)
        elif self.path == "/health":
            self.send(200, b"")
        elif self.path == "/version":
            self.send_json({"version": _VERSION})
        elif self.path == "/v1/models":
            models = [
                {"id": model, "object": "model", "owned_by": "vllm", "parent": None}
                for model in engine.models
            ]
            self.send_json({"object": "list", "data": models})
        else:
            self.send(404, b"Not Found")

    def do_POST(self) -> None:
        try:
            length = int(self.headers["Content-Length"])
            self._control(json.loads(self.rfile.read(min(length, _MOST_BODY_BYTES))))
        except (KeyError, TypeError, ValueError) as error:
            self.close_connection = True
            self.send(
                400, f"POST {self.path} cannot be done ({error}); the file's head says what can.".encode()
            )
        else:
            self.send(204, b"")

    def _control(self, body: dict[str, Any]) -> None:
        engine = self.server.engine
        match self.path:
            case "/work":
                engine.work.add(body.pop("model", None), Counts(**body))
            case "/rates":
                engine.work.set_rates(Counts(**body))
            case "/running":
                engine.work.set_running(None if body["requests"] is None else int(body["requests"]))
            case "/mode" if body["mode"] in MODES:
                engine.mode = body["mode"]
            case _:
                raise ValueError(body)

    def send(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        """Send a whole answer."""
        self.head(status, {"Content-Type": kind, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def send_json(self, value: object) -> None:
        """Send a whole answer."""
        self.send(200, json.dumps(value).encode(), "application/json")

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send what comes before the body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def pour(self, blocks: Iterable[bytes], **headers: str) -> None:
        """Send blocks and close; at the latest when the client hangs up or their time is over."""
        self.head(200, {"Content-Type": _PAGE_TYPE, "Connection": "close"} | headers)
        deadline = time.monotonic() + _HOLD_SECONDS
        for block in itertools.takewhile(lambda _: time.monotonic() < deadline, blocks):
            self.wfile.write(block)


def _ok(answer: _Handler) -> None:
    answer.send(200, answer.server.engine.page(), _PAGE_TYPE)


def _garbage(answer: _Handler) -> None:
    """Bytes that are not even text."""
    answer.send(200, random.Random(0).randbytes(_BLOCK_BYTES), _PAGE_TYPE)


def _http500(answer: _Handler) -> None:
    answer.send(500, b"Internal Server Error")


def _malformed(answer: _Handler) -> None:
    """The page, of which every second sample cannot be parsed, in three different ways."""
    damages = itertools.cycle((lambda line: line[: len(line) // 2], lambda line: f"{line}x", _without_value))
    lines = answer.server.engine.page().decode().splitlines()
    samples = itertools.count()
    damaged = (
        line if line.startswith("#") or next(samples) % 2 == 0 else next(damages)(line) for line in lines
    )
    answer.send(200, "".join(f"{line}\n" for line in damaged).encode(), _PAGE_TYPE)


def _without_value(line: str) -> str:
    return line.rpartition(" ")[0]


def _cut(answer: _Handler) -> None:
    """Half of the page that was announced."""
    page = answer.server.engine.page()
    answer.head(200, {"Content-Type": _PAGE_TYPE, "Content-Length": str(len(page)), "Connection": "close"})
    answer.wfile.write(page[: len(page) // 2])


def _drip(answer: _Handler) -> None:
    """The page, a few bytes at a time."""

    def drops(page: bytes) -> Iterator[bytes]:
        for start in range(0, len(page), _DRIP_BYTES):
            yield page[start : start + _DRIP_BYTES]
            time.sleep(_DRIP_SECONDS)

    answer.pour(drops(answer.server.engine.page()))


def _hang(answer: _Handler) -> None:
    """No answer, until the client hangs up or the time is over."""
    answer.close_connection = True
    answer.rfile.read(1)


def _endless(answer: _Handler) -> None:
    """Comments without end, as far as a reader should go: half a gigabyte."""
    comment = b"# a comment that says nothing\n"
    block = comment * (_BLOCK_BYTES // len(comment))
    answer.pour(itertools.repeat(block, _ENDLESS_BYTES // len(block)))


def _gzip_bomb(answer: _Handler) -> None:
    """A megabyte that unpacks to a gigabyte of comments."""
    member = gzip.compress(b"#" * (_BOMB_BYTES // _BOMB_MEMBERS))
    answer.pour(itertools.repeat(member, _BOMB_MEMBERS), **{"Content-Encoding": "gzip"})


MODES: Mapping[str, Callable[[_Handler], None]] = {
    "ok": _ok,
    "garbage": _garbage,
    "endless": _endless,
    "gzip_bomb": _gzip_bomb,
    "http500": _http500,
    "drip": _drip,
    "hang": _hang,
    "cut": _cut,
    "malformed": _malformed,
}
"""How the metrics page can be answered."""


class _Server(ThreadingHTTPServer):
    """A thread for each connection, and no more connections than the bound: others are closed at once."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, engine: Engine) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.engine = engine
        self._free = threading.Semaphore(_MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients of a page gone bad hang up; that is no error here.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="A process that counts tokens and serves a page like vLLM's."
    )
    parser.add_argument("--port", type=int, default=0, help="on loopback; 0: a free one")
    parser.add_argument("--truth", type=Path, required=True, help="file to append exact totals to")
    parser.add_argument("--models", type=int, default=1, help="how many, named model-0, model-1, ...")
    parser.add_argument(
        "--names", type=Path, help="JSON file with a list of model names, instead of --models"
    )
    parser.add_argument("--input-rate", type=int, default=1_000, help="computed tokens a second, each model")
    parser.add_argument("--cached-rate", type=int, default=500, help="cached tokens a second, each model")
    parser.add_argument("--output-rate", type=int, default=200, help="output tokens a second, each model")
    parser.add_argument("--request-rate", type=int, default=2, help="completed requests a second, each model")
    parser.add_argument("--lines", type=int, default=0, help="lines of the page, at least")
    parser.add_argument(
        "--no-start-time", action="store_true", help="multiprocess mode: no process_*, no _created"
    )
    parser.add_argument("--life", type=float, default=900.0, help="seconds after which it ends by itself")
    return parser.parse_args()


def main() -> None:
    """Count and serve until SIGTERM or the end of its life."""
    arguments = _arguments()
    over = threading.Event()
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, lambda *_: over.set())
    rates = Counts(
        input_tokens=arguments.input_rate,
        cached_input_tokens=arguments.cached_rate,
        output_tokens=arguments.output_rate,
        completed_requests=arguments.request_rate,
    )
    names = [f"model-{i}" for i in range(arguments.models)]
    if arguments.names:
        names = json.loads(arguments.names.read_text(encoding="utf-8"))
    started = None if arguments.no_start_time else time.time()
    work, truth = Work(names, rates), Truth(arguments.truth)
    server = _Server(arguments.port, Engine(work, truth, lines=arguments.lines, started_utc_seconds=started))
    threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    over.wait(arguments.life)
    server.shutdown()
    truth.append("stop", server.engine.mode, work.totals())


if __name__ == "__main__":
    main()
