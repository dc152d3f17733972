"""A bounded load run against one engine: what it can sustain, by its own counters.

Each step begins and ends with an idle engine, so that its counters say exactly what the step was.
"""

import asyncio
import math
from collections.abc import Callable, Mapping

from msgspec import Struct, to_builtins

from evenwatt import clock
from evenwatt.economics.load_run import (
    Phase,
    Step,
    calibration_result,
    next_concurrency,
)
from evenwatt.errors import CalibrationRefused, SourceContractError
from evenwatt.readings.family import FamilySource
from evenwatt.readings.load import LoadClient
from evenwatt.service.calibration.counted_engine import CountedEngine, increase

__all__ = ["DEFAULT_INPUT_PER_OUTPUT", "LoadLimits", "LoadRun", "Requests"]

DEFAULT_INPUT_PER_OUTPUT = 3.0
"""The mix of the mixed phase where the engine has none of its own yet."""

_PREFILL_WORDS = 512
_LEAST_WORDS = 16
_DECODE_WORDS = 4
_MOST_OUTPUT_TOKENS = 256
_LEAST_OUTPUT_TOKENS = 8
_MIXED_OUTPUT_TOKENS = 64
_REQUESTS_IN_STEP = 4
"""How many a worker gets through in a step, about: the fewer, the more the end of a step weighs."""

_LEAST_STEP_SECONDS = 0.5
_OVERDUE_STEPS = 4


class LoadLimits(Struct, frozen=True, kw_only=True):
    """How far a load run goes at most.

    Attributes:
        seconds: All of it; what still runs then is closed.
    """

    seconds: float = 120.0
    max_concurrency: int = 64
    max_requests: int = 2_000


class Requests(Struct, frozen=True, kw_only=True):
    """What the requests of a phase look like."""

    words: int
    output_tokens: int


class _Probe(Struct, frozen=True, kw_only=True):
    """One request alone, as the engine counted it."""

    words: int
    seconds: float
    input_tokens: int
    output_tokens: int


class LoadRun:
    """One load run.

    Args:
        source: The engine's page.
        client: Through which it is given work, open.
        model: That is asked.
        limits: How far it goes.
        input_per_output: Computed input tokens for each output token of the mixed phase.
        others_run: It is known that requests of others run as well, and nobody waits for their end.
        on_step: Told the phase and how many requests come at once, then the finished step.

    Attributes:
        settings: What the requests looked like; complete after the run.
    """

    def __init__(
        self,
        source: FamilySource,
        client: LoadClient,
        *,
        model: str,
        limits: LoadLimits,
        input_per_output: float = DEFAULT_INPUT_PER_OUTPUT,
        others_run: bool = False,
        on_step: Callable[[Phase, int, Step | None], None] = lambda *_: None,
    ) -> None:
        self._engine = CountedEngine(source, others_run=others_run)
        self._client = client
        self._model = model
        self._limits = limits
        self._input_per_output = input_per_output
        self._on_step = on_step
        self._requests_left = limits.max_requests
        self.settings: dict[str, object] = {}

    async def run(self) -> Mapping[str, object]:
        """Return what was found, as `calibration_result` has it.

        Raises:
            SourceError: The engine cannot be read, does not answer, or does not count what it answers.
            CalibrationRefused: It is too slow for the time of the run.
        """
        self._ends_boot_seconds = clock.boot_seconds() + self._limits.seconds
        try:
            async with asyncio.timeout(self._limits.seconds):
                shapes = await self._probed()
        except TimeoutError as error:
            raise self._too_slow() from error
        self.settings = self._described(shapes)
        steps: list[Step] = []
        for number, (phase, shape) in enumerate(shapes.items()):
            left_seconds = self._ends_boot_seconds - clock.boot_seconds()
            steps += await self._phase(phase, shape, left_seconds / (len(shapes) - number))
        if not steps:
            raise self._too_slow()
        return calibration_result(steps, model=self._model, others_seen=self._engine.others_seen)

    def _too_slow(self) -> CalibrationRefused:
        return CalibrationRefused(
            f"{self._engine.name}: not one step was through within {self._limits.seconds:g} s and "
            f"{self._limits.max_requests} requests; allow more with --seconds and --max-requests"
        )

    def _described(self, shapes: Mapping[Phase, Requests]) -> dict[str, object]:
        return {
            **to_builtins(self._limits),
            "input_per_output": self._input_per_output,
            "requests": {
                phase.value: {"words": shape.words, "max_tokens": shape.output_tokens}
                for phase, shape in shapes.items()
            },
        }

    # --- what to ask ---------------------------------------------------------------------------------------

    async def _probed(self) -> dict[Phase, Requests]:
        """Return requests short enough for this engine: several of them fit into a step."""
        request_seconds = self._step_seconds(self._limits.seconds / len(Phase)) / _REQUESTS_IN_STEP
        await self._probe(_DECODE_WORDS, _LEAST_OUTPUT_TOKENS)  # the first request of all may warm things up
        longest = await self._longest_prompt()
        words = min(longest.words, max(_LEAST_WORDS, int(longest.words * request_seconds / longest.seconds)))
        answered = await self._probe(_DECODE_WORDS, 2 * _LEAST_OUTPUT_TOKENS)
        if answered is None:
            raise SourceContractError(
                f"{self._engine.address}: the engine refuses even short requests; see its log, or write "
                "capacity_tokens_per_second for it"
            )
        fitting = int(request_seconds / answered.seconds * answered.output_tokens)
        output_tokens = min(max(fitting, _LEAST_OUTPUT_TOKENS), _MOST_OUTPUT_TOKENS)
        mixed_output = min(output_tokens, _MIXED_OUTPUT_TOKENS)
        tokens_per_word = longest.input_tokens / longest.words
        mixed_words = math.ceil(mixed_output * self._input_per_output / tokens_per_word)
        return {
            Phase.PREFILL: Requests(words=words, output_tokens=1),
            Phase.DECODE: Requests(words=_DECODE_WORDS, output_tokens=output_tokens),
            Phase.MIXED: Requests(words=min(mixed_words, words), output_tokens=mixed_output),
        }

    async def _longest_prompt(self) -> "_Probe":
        words = _PREFILL_WORDS
        while (probe := await self._probe(words, 1)) is None:
            if words <= _LEAST_WORDS:
                raise SourceContractError(
                    f"{self._engine.address}: the engine refuses a prompt of {words} words as too long; "
                    "give it a longer context, or write capacity_tokens_per_second for it"
                )
            words //= 2
        return probe

    async def _probe(self, words: int, output_tokens: int) -> "_Probe | None":
        """Return what one request was; None where the engine says that it is too long."""
        before = await self._engine.idle()
        started = clock.boot_seconds()
        self._requests_left -= 1
        if not await self._client.takes(words, output_tokens):
            return None
        seconds = clock.boot_seconds() - started
        counted = increase(before, await self._engine.idle())
        if not counted.input_tokens or not counted.output_tokens:
            raise SourceContractError(
                f"{self._engine.address} did not count a request that was answered; is it the page of the "
                "engine itself, and is its address that of the engine?"
            )
        return _Probe(
            words=words,
            seconds=seconds,
            input_tokens=counted.input_tokens,
            output_tokens=counted.output_tokens,
        )

    def _step_seconds(self, phase_seconds: float) -> float:
        # One more than there are at most: a step ends with its last request, not with its time.
        steps = math.ceil(math.log2(self._limits.max_concurrency)) + 2
        return max(phase_seconds / steps, _LEAST_STEP_SECONDS)

    # --- asking it -----------------------------------------------------------------------------------------

    async def _phase(self, phase: Phase, shape: Requests, seconds: float) -> list[Step]:
        """Return the steps of a phase: twice as many requests each time, until that brings no more."""
        step_seconds = self._step_seconds(seconds)
        steps: list[Step] = []
        while (concurrency := next_concurrency(steps, self._limits.max_concurrency)) is not None:
            step = await self._step(phase, shape, concurrency, step_seconds)
            if step is None:
                break
            steps.append(step)
            self._on_step(phase, concurrency, step)
        return steps

    async def _step(
        self, phase: Phase, shape: Requests, concurrency: int, step_seconds: float
    ) -> Step | None:
        """Return a step; None where a limit of the run cut it short."""
        self._on_step(phase, concurrency, None)
        before = await self._engine.idle()
        started = clock.boot_seconds()
        left_seconds, left_before = self._ends_boot_seconds - started, self._requests_left
        if left_seconds <= 0 or left_before < concurrency:
            return None
        try:
            async with asyncio.timeout(min(left_seconds, _OVERDUE_STEPS * step_seconds)):
                await self._at_once(shape, concurrency, started + step_seconds)
        except TimeoutError:
            return None
        seconds = clock.boot_seconds() - started
        counted = increase(before, await self._engine.idle())
        requests = left_before - self._requests_left
        if counted.requests.get("completed", requests) > requests:
            self._engine.others_seen = True
        return Step(
            phase=phase,
            concurrency=concurrency,
            requests=requests,
            seconds=seconds,
            input_tokens=counted.input_tokens,
            output_tokens=counted.output_tokens,
        )

    async def _at_once(self, shape: Requests, concurrency: int, until_boot_seconds: float) -> None:
        """Keep so many requests running until a step is over; the first fault ends them all."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(concurrency):
                    workers.create_task(self._work(shape, until_boot_seconds))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _work(self, shape: Requests, until_boot_seconds: float) -> None:
        """Send one request after another until a step is over; at least one."""
        is_first = True
        while is_first or (clock.boot_seconds() < until_boot_seconds and self._requests_left > 0):
            is_first = False
            self._requests_left -= 1
            await self._client.complete(shape.words, shape.output_tokens)
