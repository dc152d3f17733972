"""Engines that no capture is at hand of: pages built from their documentation, with the answer worked out."""

from dataclasses import dataclass, field

import pytest

from evenwatt.errors import SourceContractError
from evenwatt.model import ModelCounters
from evenwatt.readings.engines import ADAPTERS, fingerprint, is_page_of
from evenwatt.readings.engines.generic import CounterNames, generic_adapter
from evenwatt.readings.engines.table import start_time
from evenwatt.readings.exposition import Sample, checked_page, parse_samples


@dataclass(frozen=True)
class Case:
    """A page of one engine and what it says.

    Everywhere 70 tokens of input of which 20 were reused where the engine tells, and 30 of output.
    """

    kind: str
    page: str
    model: str = "m"
    cached: int | None = 20
    output: int = 30
    requests: dict = field(default_factory=dict)
    running: int | None = None
    waiting: int | None = None


CASES = [
    Case(
        "tgi",
        """# TYPE tgi_request_input_length histogram
tgi_request_input_length_bucket{le="1024"} 5
tgi_request_input_length_sum 70
tgi_request_input_length_count 5
tgi_request_generated_tokens_sum 30
tgi_request_count 5
tgi_request_success 3
tgi_request_failure{err="dropped"} 1
tgi_request_failure{err="validation"} 1
tgi_queue_size 2
tgi_batch_current_size 1
""",
        model="served",
        cached=None,
        requests={"completed": 3, "aborted": 1, "failed": 1},
        running=1,
        waiting=2,
    ),
    Case(
        "tei",
        """te_request_input_length_sum 70
te_request_success{method="batch"} 3
te_request_success{method="single"} 1
te_request_failure{err="tokenization"} 1
te_queue_size 0
""",
        model="served",
        cached=None,
        output=0,
        requests={"completed": 4, "failed": 1},
        waiting=0,
    ),
    Case(
        "lmdeploy",
        """process_start_time_seconds 1.7e+09
lmdeploy:prompt_tokens_total{engine="0",model_name="m"} 40.0
lmdeploy:prompt_tokens_total{engine="1",model_name="m"} 30.0
lmdeploy:cached_tokens_total{engine="0",model_name="m"} 20.0
lmdeploy:generation_tokens_total{engine="0",model_name="m"} 30.0
lmdeploy:request_success_total{engine="0",finished_reason="stop",model_name="m"} 2.0
lmdeploy:request_success_total{engine="0",finished_reason="length",model_name="m"} 1.0
lmdeploy:request_success_total{engine="0",finished_reason="abort",model_name="m"} 1.0
lmdeploy:num_requests_running{engine="0",model_name="m"} 1.0
lmdeploy:num_requests_waiting{engine="0",model_name="m"} 0.0
""",
        requests={"completed": 3, "aborted": 1},
        running=1,
        waiting=0,
    ),
    Case(
        "tensorrt_llm",
        """trtllm_prompt_tokens_total{engine_type="undefined",model_name="m"} 70.0
trtllm_prompt_cached_tokens_total{engine_type="undefined",model_name="m"} 20.0
trtllm_generation_tokens_total{engine_type="undefined",model_name="m"} 30.0
trtllm_request_success_total{engine_type="undefined",finished_reason="stop",model_name="m"} 4.0
trtllm_num_requests_running{model_name="m"} 3.0
trtllm_num_requests_waiting{model_name="m"} 1.0
""",
        requests={"completed": 4},
        running=3,
        waiting=1,
    ),
    Case(
        "triton",
        """nv_inference_request_success{model="m",version="1"} 9
nv_llm_input_token_len_sum{model="m",response_metric_type="total_input_tokens",version="1"} 70
nv_llm_output_token_len_sum{model="m",response_metric_type="total_output_tokens",version="1"} 30
nv_trt_llm_request_metrics{model="m",request_type="active",version="1"} 5
nv_trt_llm_request_metrics{model="m",request_type="scheduled",version="1"} 4
nv_trt_llm_request_metrics{model="m",request_type="waiting",version="1"} 1
""",
        cached=None,
        running=4,
        waiting=1,
    ),
    Case(
        "nim",
        """process_start_time_seconds 1.7e+09
num_requests_running{model_name="m"} 1.0
num_requests_waiting{model_name="m"} 0.0
prompt_tokens_total{model_name="m"} 70.0
generation_tokens_total{model_name="m"} 30.0
""",
        cached=None,
        running=1,
        waiting=0,
    ),
    Case(
        "dynamo",
        """dynamo_frontend_inflight_requests{model="m"} 2
dynamo_frontend_queued_requests{model="m"} 1
dynamo_frontend_input_sequence_tokens_sum{model="m"} 70
dynamo_frontend_cached_tokens_sum{model="m"} 20
dynamo_frontend_output_tokens_total{model="m"} 30
dynamo_frontend_output_sequence_tokens_sum{model="m"} 28
dynamo_frontend_requests_total{endpoint="chat",error_type="",model="m",status="success"} 4
dynamo_frontend_requests_total{endpoint="chat",error_type="cancelled",model="m",status="error"} 2
dynamo_frontend_requests_total{endpoint="chat",error_type="overload",model="m",status="error"} 1
""",
        requests={"completed": 4, "aborted": 2, "failed": 1},
        running=2,
        waiting=1,
    ),
    Case(
        "localai",
        """localai_tokens_total{kind="prompt",otel_scope_name="billing",served_model="m",user="a"} 40
localai_tokens_total{kind="prompt",otel_scope_name="billing",served_model="m",user="b"} 30
localai_tokens_total{kind="completion",otel_scope_name="billing",served_model="m",user="a"} 30
localai_billed_requests_total{endpoint="/v1/chat/completions",served_model="m",user="a"} 2
""",
        cached=None,
        requests={"completed": 2},
    ),
    Case(
        "lemonade",
        """lemonade_model_requests_total{model="m"} 2
lemonade_model_input_tokens_total{model="m"} 50
lemonade_model_prompt_tokens_total{model="m"} 70
lemonade_model_cache_tokens_total{model="m"} 20
lemonade_model_output_tokens_total{model="m"} 30
lemonade_llamacpp_prompt_tokens_total{model="m"} 1e+06
""",
        requests={"completed": 2},
    ),
    Case(
        "litellm",
        """process_start_time_seconds 1.7e+09
litellm_input_tokens_metric_total{api_key_alias="a",model="m",requested_model="x"} 40.0
litellm_input_tokens_metric_total{api_key_alias="b",model="m",requested_model="y"} 30.0
litellm_input_cached_tokens_metric_total{api_key_alias="a",model="m",requested_model="x"} 20.0
litellm_output_tokens_metric_total{api_key_alias="a",model="m",requested_model="x"} 30.0
litellm_cached_tokens_metric_total{api_key_alias="a",model="m",requested_model="x"} 1e+06
litellm_total_tokens_metric_total{api_key_alias="a",model="m",requested_model="x"} 100.0
""",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_page_is_known_and_its_tokens_land_in_disjoint_kinds(case):
    """Of 70 tokens of input with 20 reused, 50 were computed; where reuse is not told, all 70 count."""
    page = checked_page(case.page.encode())
    adapter = ADAPTERS[case.kind]
    samples = parse_samples(page, adapter.wanted)

    assert fingerprint(page) == case.kind
    assert adapter.models(samples, "served") == (
        ModelCounters(
            model=case.model,
            input_tokens=70 - (case.cached or 0),
            cached_input_tokens=case.cached,
            output_tokens=case.output,
            requests=case.requests,
        ),
    )
    assert (adapter.running and adapter.running.gauge(samples)) == case.running
    assert (adapter.waiting and adapter.waiting.gauge(samples)) == case.waiting


CLIENTS = """litellm_input_tokens_metric_total{api_key_alias="batch",model="m",team="1",team_alias="red"} 40
litellm_input_tokens_metric_total{api_key_alias="web",model="m",team="1",team_alias="red"} 20
litellm_input_tokens_metric_total{api_key_alias="web",model="m",team="None",team_alias="None"} 8
litellm_input_tokens_metric_total{api_key_alias="None",end_user="None",model="m",team="None"} 2
litellm_input_cached_tokens_metric_total{api_key_alias="web",model="m",team="1",team_alias="red"} 20
litellm_output_tokens_metric_total{api_key_alias="web",model="m",team="1",team_alias="red"} 30
"""


def test_a_gateway_s_clients_are_its_teams_else_its_keys():
    """They add up to the model; who has no name is everybody else; hashes of keys name nobody."""
    adapter = ADAPTERS["litellm"]
    samples = parse_samples(checked_page(CLIENTS.encode()), adapter.wanted)
    found = {client.client: client.counters for client in adapter.clients(samples)}
    (whole,) = adapter.models(samples, "")

    assert found == {
        "red": ModelCounters(model="m", input_tokens=40, cached_input_tokens=20, output_tokens=30),
        "web": ModelCounters(model="m", input_tokens=8, output_tokens=0),
        "other": ModelCounters(model="m", input_tokens=2, output_tokens=0),
    }
    assert sum(counters.input_tokens for counters in found.values()) == whole.input_tokens
    hashed = 'litellm_input_tokens_metric_total{hashed_api_key="88dc",model="m"} 40\n'
    assert adapter.clients(parse_samples(checked_page(hashed.encode()), adapter.wanted)) is None


def later_page(page, times):
    """Return a page of the same process, all of whose counters have grown to so many times what they were."""
    lines = []
    for line in page.splitlines():
        series, _, value = line.rpartition(" ")
        is_still = line.startswith(("#", "process_start_time_seconds"))
        lines.append(line if is_still else f"{series} {float(value) * times!r}")
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
def test_between_two_pages_tokens_grow_by_what_was_sent(case):
    """From 70 tokens of input with 20 reused and 30 of output, twice as many come until the second page."""
    adapter = ADAPTERS[case.kind]
    earlier, later = (
        adapter.models(parse_samples(checked_page(page.encode()), adapter.wanted), "served")[0]
        for page in (case.page, later_page(case.page, 3))
    )

    grown = later.input_tokens - earlier.input_tokens
    reused = None if case.cached is None else later.cached_input_tokens - earlier.cached_input_tokens
    assert (grown, reused) == (
        2 * (70 - (case.cached or 0)),
        None if case.cached is None else 2 * case.cached,
    )
    assert later.output_tokens - earlier.output_tokens == 2 * case.output
    assert {outcome: count - earlier.requests[outcome] for outcome, count in later.requests.items()} == {
        outcome: 2 * count for outcome, count in case.requests.items()
    }


def test_every_kind_says_when_it_counts_and_what_is_missing():
    """Each adapter declares what a person has to know of its counters."""
    assert all(adapter.counted and adapter.unmetered for adapter in ADAPTERS.values())
    assert len({prefix for adapter in ADAPTERS.values() for prefix in adapter.prefixes}) >= len(ADAPTERS)


def test_engine_behind_another_server_is_read_as_itself():
    """Triton and Dynamo's workers pass the series of vLLM through: those are the ones with tokens."""
    page = b'nv_inference_request_success{model="m"} 1\nvllm:prompt_tokens_total{model_name="m"} 1\n'

    assert fingerprint(page) == "vllm"
    assert is_page_of(ADAPTERS["triton"], page)


def test_output_that_has_not_begun_yet_is_zero_where_the_two_begin_apart():
    """TGI counts input when a request is taken on, and output when it has succeeded."""
    page = b"tgi_request_input_length_sum 70\n"
    (model,) = ADAPTERS["tgi"].models(parse_samples(page, ADAPTERS["tgi"].wanted), "m")

    assert (model.input_tokens, model.output_tokens) == (70, 0)


def test_input_without_output_is_refused_where_the_two_begin_together():
    """Half of the tokens of a version that is not known would be missing for ever."""
    page = b'lmdeploy:prompt_tokens_total{model_name="m"} 70\n'

    with pytest.raises(SourceContractError, match="no counter of output tokens"):
        ADAPTERS["lmdeploy"].models(parse_samples(page, ADAPTERS["lmdeploy"].wanted), "m")


def test_more_reused_than_all_is_no_negative_input():
    """The two counters are not read at one instant; what parts them is made up for by the next page."""
    page = b"""lmdeploy:prompt_tokens_total{model_name="m"} 70
lmdeploy:cached_tokens_total{model_name="m"} 72
lmdeploy:generation_tokens_total{model_name="m"} 1
"""
    (model,) = ADAPTERS["lmdeploy"].models(parse_samples(page, ADAPTERS["lmdeploy"].wanted), "")

    assert (model.input_tokens, model.cached_input_tokens) == (0, 72)


GENERIC_PAGE = b"""app_prompt_total{deployment="m"} 50
app_reused_total{deployment="m"} 20
app_answer_total{deployment="m"} 30
app_calls_total{deployment="m"} 4
app_running 2
"""


def test_generic_page_is_read_by_the_names_that_its_owner_gives():
    """Input that leaves the reused part out stays as it is."""
    adapter = generic_adapter(
        CounterNames(
            input="app_prompt_total",
            input_means="computed",
            cached_input="app_reused_total",
            output="app_answer_total",
            model_label="deployment",
            requests="app_calls_total",
            running="app_running",
        )
    )
    samples = parse_samples(GENERIC_PAGE, adapter.wanted)

    assert is_page_of(adapter, GENERIC_PAGE)
    assert adapter.models(samples, "") == (
        ModelCounters(
            model="m",
            input_tokens=50,
            cached_input_tokens=20,
            output_tokens=30,
            requests={"completed": 4},
        ),
    )
    assert adapter.running.gauge(samples) == 2
    assert adapter.waiting is None


def test_generic_page_without_the_named_series_is_not_its():
    """A wrong name is told, and is not an engine that did nothing."""
    adapter = generic_adapter(CounterNames(input="other_total", input_means="logical", output=None))

    assert not is_page_of(adapter, GENERIC_PAGE)
    assert "other_total" in adapter.unmetered


@pytest.mark.parametrize(
    ("values", "signals"),
    [([], {}), ([1.7e9, 1.6e9], {"start_time": "1600000000.0"}), ([0.0], {}), ([float("inf")], {})],
)
def test_start_time_is_the_oldest_that_the_page_tells(values, signals):
    """Several processes behind one page began at several times; what is no time is no signal."""
    samples = [Sample("process_start_time_seconds", {"n": str(n)}, value) for n, value in enumerate(values)]

    assert start_time(samples, {}) == signals
