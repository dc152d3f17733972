"""What engines' counters are known to get wrong, or to be taken wrong: each trap as a test of its name.

Pages are captured from real engines where the trap is on one; otherwise they are built from the engines'
sources.
"""

import json
import subprocess
import sys

import pytest

from captured import CAPTURES, samples_of
from evenwatt.errors import SourceContractError
from evenwatt.readings.engine_body import role_of
from evenwatt.readings.engines import ADAPTERS, fingerprint, is_page_of
from evenwatt.readings.exposition import checked_page, parse_samples

VLLM = ADAPTERS["vllm"]


def models(kind, page):
    """Return the models of a page of a kind of engine."""
    adapter = ADAPTERS[kind]
    return adapter.models(parse_samples(checked_page(page), adapter.wanted), "served")


def captured(kind, name):
    """Return the models of a captured page."""
    return ADAPTERS[kind].models(samples_of(ADAPTERS[kind], CAPTURES / kind / name), "tiny-llama")


def logical(model):
    """Return prompt tokens, reused or not."""
    return model.input_tokens + (model.cached_input_tokens or 0)


# --- vLLM, in all its forms --------------------------------------------------------------------------------


def growth(before, after):
    """Return by how much logical input and output grew between two captured pages of vLLM."""
    (one,), (other,) = captured("vllm", before), captured("vllm", after)
    return logical(other) - logical(one), other.output_tokens - one.output_tokens


@pytest.mark.parametrize(
    ("form", "last", "told"),
    [
        ("dp2", "dp2-02-mixed.prom.txt", (905, 240)),
        ("apiservers2", "apiservers2-02-mixed.prom.txt", (894, 240)),
        ("lora", "lora-02-four-names.prom.txt", (764, 192)),
    ],
)
def test_vllm_data_parallel_several_api_servers_and_lora_add_up_to_what_clients_were_told(form, last, told):
    """Ranks are summed, either API server answers for both, adapters count under the first served name."""
    assert growth(f"{form}-01-idle.prom.txt", last) == told


def test_vllm_several_api_servers_give_no_sign_of_a_restart():
    """Multiprocess mode has no process_* and no _created: the kernel's word is all there is."""
    for form in ("dp2-02-mixed", "apiservers2-02-mixed"):
        samples = samples_of(VLLM, CAPTURES / "vllm" / f"{form}.prom.txt")
        assert VLLM.signals(samples, {}) == {}


def test_vllm_rust_frontend_page_is_openmetrics_without_signals():
    """Counters are picked by the names on their lines, whatever the family is called."""
    page = (
        b'# TYPE vllm:prompt_tokens counter\nvllm:prompt_tokens_total{engine="0",model_name="m"} 7.0\n'
        b'# TYPE vllm:generation_tokens counter\nvllm:generation_tokens_total{model_name="m"} 3.0\n# EOF\n'
    )
    (model,) = models("vllm", page)

    assert (model.input_tokens, model.output_tokens) == (7, 3)
    assert VLLM.signals(parse_samples(checked_page(page), VLLM.wanted), {}) == {}


PREFILL_NODE = b"""vllm:prompt_tokens_total{engine="0",model_name="m"} 100
vllm:prompt_tokens_by_source_total{engine="0",model_name="m",source="local_compute"} 80
vllm:prompt_tokens_by_source_total{engine="0",model_name="m",source="local_cache_hit"} 20
vllm:generation_tokens_total{engine="0",model_name="m"} 4
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 4
"""
DECODE_NODE = b"""vllm:prompt_tokens_total{engine="0",model_name="m"} 100
vllm:prompt_tokens_by_source_total{engine="0",model_name="m",source="local_compute"} 0
vllm:prompt_tokens_by_source_total{engine="0",model_name="m",source="external_kv_transfer"} 100
vllm:generation_tokens_total{engine="0",model_name="m"} 60
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 4
"""
OLD_DECODE_NODE = b"""vllm:prompt_tokens_total{model_name="m"} 100
vllm:generation_tokens_total{model_name="m"} 60
vllm:request_success_total{finished_reason="stop",model_name="m"} 4
"""


@pytest.mark.parametrize("decode_page", [DECODE_NODE, OLD_DECODE_NODE])
def test_vllm_disaggregated_prefill_and_decode_count_prompts_and_answers_once(decode_page):
    """Both nodes count the prompt and the request, and the prefill node a token that is thrown away."""
    (prefill,) = VLLM.roles["prefill"](parse_samples(PREFILL_NODE, VLLM.wanted), "")
    (decode,) = VLLM.roles["decode"](parse_samples(decode_page, VLLM.wanted), "")

    assert prefill.input_tokens + decode.input_tokens == 80
    assert (prefill.cached_input_tokens or 0) + decode.cached_input_tokens == 20
    assert prefill.output_tokens + decode.output_tokens == 60
    assert [dict(prefill.requests), dict(decode.requests)] == [{}, {"completed": 4}]


@pytest.mark.parametrize(
    ("words", "role"),
    [
        (["--kv-transfer-config", '{"kv_connector": "P2pNccl", "kv_role": "kv_producer"}'], "prefill"),
        (["--kv-transfer-config", '{"kv_role":"kv_consumer"}'], "decode"),
        (["--kv-transfer-config.kv_role", "kv_consumer"], "decode"),
        (["--kv-transfer-config", '{"kv_connector": "Nixl", "kv_role": "kv_both"}'], None),
        ([], None),
    ],
)
def test_vllm_tells_on_its_command_line_which_half_it_is(words, role, page_of_vllm):
    """Only a connector whose servers may do both leaves it to the configuration."""
    assert role_of(page_of_vllm(*words)) == role


@pytest.fixture
def page_of_vllm():
    """Return a function that starts a process with words on its command line and returns its PID."""
    started = []

    def start(*words):
        code = "import sys; print(flush=True); sys.stdin.read()"
        command = [sys.executable, "-c", code, *words]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        process.stdout.readline()
        return process.pid

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_vllm_elastic_reset_in_a_living_process_is_told_by_created():
    """Counters are made anew when ranks are added; the start of the process does not move, _created does."""
    page = (
        b"process_start_time_seconds 100\n"
        b'vllm:prompt_tokens_created{model_name="m"} %d\nvllm:generation_tokens_created{model_name="m"} %d\n'
    )
    before, after = (VLLM.signals(parse_samples(page % (when, when), VLLM.wanted), {}) for when in (110, 990))

    assert before["start_time"] == after["start_time"]
    assert before["created"] != after["created"]


def test_vllm_with_log_stats_off_is_up_but_unmetered():
    """A page without `vllm:` series is no vLLM that did nothing: it is an error that names the option."""
    page = b'# TYPE http_requests counter\nhttp_requests_total{handler="/v1/models",status="2xx"} 5\n'

    assert fingerprint(page) is None
    assert not is_page_of(VLLM, page)
    assert "is up but unmetered" in VLLM.unmetered
    assert "--disable-log-stats" in VLLM.unmetered


def sleeping(page, engine, state):
    """Return a captured page as vLLM writes it when an engine sleeps (`record_sleep_state`)."""
    for name in ("awake", "weights_offloaded", "discard_all"):
        line = f'vllm:engine_sleep_state{{engine="{engine}",model_name="tiny-llama",sleep_state="{name}"}}'
        assert f"{line} {float(name == 'awake')}\n" in page
        page = page.replace(f"{line} {float(name == 'awake')}\n", f"{line} {float(name == state)}\n")
    return page


@pytest.mark.parametrize(
    ("states", "is_unloaded"),
    [
        (("awake", "awake"), False),
        (("weights_offloaded", "awake"), False),
        (("weights_offloaded", "weights_offloaded"), True),
        (("weights_offloaded", "discard_all"), True),
        (("paused", "paused"), False),
    ],
)
def test_vllm_asleep_has_no_model_in_memory_and_its_counters_stand(states, is_unloaded):
    """All its engines must have given up their weights; paused at level 0, none has."""
    awake = (CAPTURES / "vllm" / "dp2-02-mixed.prom.txt").read_text()
    page = awake
    for engine, state in enumerate(states):
        page = sleeping(page, engine, state)
    samples = parse_samples(checked_page(page.encode()), VLLM.wanted)

    assert VLLM.is_unloaded(samples) is is_unloaded
    assert models("vllm", page.encode()) == models("vllm", awake.encode())


def test_vllm_of_a_version_that_tells_no_sleep_is_not_taken_for_asleep():
    """A page without the gauge says nothing."""
    samples = parse_samples(checked_page(b'vllm:prompt_tokens_total{model_name="m"} 1\n'), VLLM.wanted)

    assert not VLLM.is_unloaded(samples)


def test_vllm_histogram_named_like_a_counter_is_no_output():
    """vllm:iteration_tokens_total is a histogram: its sum is input and output mixed."""
    (model,) = models(
        "vllm",
        b'vllm:iteration_tokens_total_sum{model_name="m"} 999\nvllm:prompt_tokens_total{model_name="m"} 7\n'
        b'vllm:generation_tokens_total{model_name="m"} 3\n',
    )

    assert (model.input_tokens, model.output_tokens) == (7, 3)


def test_vllm_prefix_cache_hits_of_old_versions_are_not_cached_input():
    """They are counted at admission, and once more on each try of a waiting request."""
    (model,) = models(
        "vllm",
        b'vllm:prompt_tokens_total{model_name="m"} 7\nvllm:generation_tokens_total{model_name="m"} 3\n'
        b'vllm:gpu_prefix_cache_hits_total{model_name="m"} 500\n',
    )

    assert (model.input_tokens, model.cached_input_tokens) == (7, None)


def test_vllm_aborted_requests_are_in_the_totals_and_in_no_outcome():
    """Bill from the totals: a client that hangs up moves them, and none of the finished requests."""
    (before,), (after,) = captured("vllm", "dp2-02-mixed.prom.txt"), captured("vllm", "dp2-03-abort.prom.txt")

    assert growth("dp2-02-mixed.prom.txt", "dp2-03-abort.prom.txt") == (113, 18)
    assert before.requests == after.requests


# --- llama.cpp ---------------------------------------------------------------------------------------------


def test_llamacpp_input_is_computed_only():
    """Where others count the whole prompt, it leaves the reused part out: 528 of 3,527."""
    (before,), (after,) = (
        captured("llamacpp", f"b11434-{step}.prom.txt") for step in ("03-stream", "04-prefix")
    )

    assert after.input_tokens - before.input_tokens == 528
    assert logical(after) - logical(before) == 3_527


def test_llamacpp_page_in_a_json_string_is_read():
    """Builds until 2025-11-28 send the page as one JSON string."""
    page = (CAPTURES / "llamacpp" / "b11434-02-nonstream.prom.txt").read_text()
    (inside,) = models("llamacpp", json.dumps(page).encode())

    assert inside == models("llamacpp", page.encode())[0]


def test_llamacpp_counters_above_a_million_move_in_steps():
    """Six digits: the total stays right to a step, and is never refused as no whole number."""
    (one,) = models(
        "llamacpp", b"llamacpp:prompt_tokens_total 1.23457e+06\nllamacpp:tokens_predicted_total 1\n"
    )

    assert one.input_tokens == 1_234_570


@pytest.mark.parametrize(
    ("printed", "step"),
    [
        (b"999999", 1),
        (b"1e+06", 10),
        (b"9.99999e+06", 10),
        (b"1.23457e+07", 100),
        (b"1.23457e+09", 10_000),
        (b"1234567", 1),
    ],
)
@pytest.mark.parametrize("page", ["prompt_tokens", "prompt_tokens_cached", "tokens_predicted"])
def test_llamacpp_step_of_its_counters_is_told(page, printed, step):
    """Whichever counter is the largest decides; a build that prints more digits has no step."""
    names = ("prompt_tokens", "prompt_tokens_cached", "tokens_predicted")
    lines = [b"llamacpp:%s_total %s\n" % (n.encode(), printed if n == page else b"7") for n in names]

    (one,) = models("llamacpp", b"".join(lines))

    assert one.step_tokens == step


def test_llamacpp_start_header_is_no_time():
    """It is compared and never read: a clock of microseconds since boot."""
    header = {"Process-Start-Time-Unix": "12448197911"}

    assert ADAPTERS["llamacpp"].signals((), header) == {"header": "12448197911"}


def test_llamacpp_speeds_that_every_scrape_resets_are_not_looked_at():
    """Two scrapers disturb each other's gauges, and no figure comes from them."""
    assert not [name for name in ADAPTERS["llamacpp"].wanted if name.endswith("tokens_seconds")]


# --- SGLang ------------------------------------------------------------------------------------------------


def test_sglang_missing_series_are_zero_while_it_is_up():
    """Counters begin with the first request: the idle page is one of SGLang without a model."""
    file = CAPTURES / "sglang" / "single-01-idle.prom.txt"

    assert fingerprint(file.read_bytes()) == "sglang"
    assert captured("sglang", file.name) == ()


def test_sglang_aborts_that_many_tokenizer_workers_over_count_are_not_looked_at():
    """Each worker counts the message; requests come from the counter that each request is in once."""
    page = (
        b'sglang:num_aborted_requests_total{model_name="m"} 9\nsglang:num_requests_total{model_name="m"} 4\n'
    )
    tokens = (
        b'sglang:prompt_tokens_total{model_name="m"} 7\nsglang:generation_tokens_total{model_name="m"} 3\n'
    )

    (one,) = models("sglang", page + tokens)

    assert sum(one.requests.values()) == 4


def test_sglang_prefill_server_of_a_split_engine_is_left_out():
    """The prompt is on both sides; the decode side and unified engines count."""
    line = 'sglang:{}_tokens_total{{engine_type="{}",is_streaming="false",model_name="m"}} {}\n'
    page = "".join(
        line.format(what, kind, count)
        for kind, counts in (("prefill", (70, 4)), ("decode", (70, 30)))
        for what, count in zip(("prompt", "generation"), counts, strict=True)
    )
    (model,) = models("sglang", page.encode())

    assert (model.input_tokens, model.output_tokens) == (70, 30)


def test_sglang_nan_of_another_series_harms_nothing():
    """A page may hold gauges that are NaN."""
    (model,) = models(
        "sglang",
        b'sglang:fwd_occupancy{model_name="m"} NaN\nsglang:prompt_tokens_total{model_name="m"} 7\n'
        b'sglang:generation_tokens_total{model_name="m"} 3\n',
    )

    assert (model.input_tokens, model.output_tokens) == (7, 3)


# --- others ------------------------------------------------------------------------------------------------


def test_lemonade_input_that_may_be_computed_is_not_taken():
    """prompt_tokens is what usage said; input_tokens may be llama.cpp's, and its re-export has six digits."""
    wanted = ADAPTERS["lemonade"].wanted

    assert "lemonade_model_prompt_tokens_total" in wanted
    assert not {name for name in wanted if "input_tokens" in name or "llamacpp" in name}


def test_litellm_answers_out_of_its_own_store_are_no_reused_input():
    """They cost no GPU: only what the provider reused is cached input."""
    assert "litellm_cached_tokens_metric_total" not in ADAPTERS["litellm"].wanted
    assert ADAPTERS["litellm"].is_gateway


def test_llama_swap_counts_nothing_itself():
    """Its page is host and GPU gauges: an error that says so, and no engine without work."""
    with pytest.raises(SourceContractError, match="counts no tokens itself"):
        models("llama_swap", b"llamaswap_gpu_power_watts 40\n")


def test_tensorrt_llm_page_is_not_at_metrics():
    """/metrics is JSON there, and reading it takes it away from whoever else reads it."""
    assert ADAPTERS["tensorrt_llm"].path == "/prometheus/metrics"


def test_infinity_is_not_billed_by_characters():
    """It has HTTP metrics only, and its usage may be characters: its page is no engine's."""
    assert fingerprint(b"http_request_duration_seconds_count 5\npython_info 1\n") is None


def test_tgi_aborted_stream_has_input_and_no_output():
    """Input is recorded when a request passes validation, output when it has succeeded."""
    (model,) = models(
        "tgi",
        b"tgi_request_input_length_sum 70\n"
        b"tgi_request_generated_tokens_sum 30\n"
        b"tgi_request_success 1\n"
        b'tgi_request_failure{err="dropped"} 2\n',
    )

    assert (model.input_tokens, model.output_tokens) == (70, 30)
    assert model.requests == {"completed": 1, "aborted": 2}


def test_lmdeploy_reuse_of_an_aborted_request_stays_in_its_input():
    """The cached part is told when a request finishes: aborts overstate what was computed."""
    page = b"""lmdeploy:prompt_tokens_total{model_name="m"} %d
lmdeploy:cached_tokens_total{model_name="m"} 20
lmdeploy:generation_tokens_total{model_name="m"} 9
"""
    (before,), (after,) = models("lmdeploy", page % 40), models("lmdeploy", page % 70)

    assert after.input_tokens - before.input_tokens == 30
    assert after.cached_input_tokens == before.cached_input_tokens


def test_dynamo_worker_is_read_as_its_engine_and_its_frontend_as_dynamo():
    """A worker's own series count no tokens; those of the engine pass through its page."""
    worker = b'dynamo_component_requests_total{model="m"} 5\n'

    assert fingerprint(worker) is None
    assert fingerprint(worker + b'vllm:prompt_tokens_total{model_name="m"} 1\n') == "vllm"
    assert fingerprint(b'dynamo_frontend_requests_total{model="m"} 1\n') == "dynamo"


def test_nim_from_version_2_on_is_the_engine_that_it_wraps():
    """Its bare names are those of 1.x; later ones have the prefix of vLLM or SGLang, on either path."""
    assert fingerprint(b'prompt_tokens_total{model_name="m"} 1\n') == "nim"
    assert fingerprint(b'sglang:prompt_tokens_total{model_name="m"} 1\n') == "sglang"
    assert ADAPTERS["nim"].path == "/v1/metrics"


def test_triton_requests_of_an_ensemble_are_not_counted_for_each_step():
    """One request of an ensemble is one of each model in it."""
    (model,) = models(
        "triton",
        b'nv_inference_request_success{model="ensemble"} 1\n'
        b'nv_inference_request_success{model="tensorrt_llm"} 1\n'
        b'nv_llm_input_token_len_sum{model="tensorrt_llm",response_metric_type="total_input_tokens"} 70\n'
        b'nv_llm_output_token_len_sum{model="tensorrt_llm",response_metric_type="total_output_tokens"} 30\n',
    )

    assert (model.input_tokens, model.output_tokens, model.requests) == (70, 30, {})
