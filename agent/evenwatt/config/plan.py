"""The section that says what `evenwatt plan` works out: a machine on paper, and what is asked of it."""

from collections.abc import Iterator
from typing import Annotated

from evenwatt.config.parsers import number
from evenwatt.config.refusals import KeyPath
from evenwatt.config.rules import at_least_one
from evenwatt.config.section import Section
from evenwatt.config.values import Label, MonthHours

__all__ = ["Plan", "TokensPerTask"]

_LOADS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_MOST_TOKENS_A_DAY = 10**15

Share = Annotated[float, number(at_least=0, at_most=1)]
Watts = Annotated[float, number(at_least=0, at_most=10**7)]
TokensADay = Annotated[float, number(above=0, at_most=_MOST_TOKENS_A_DAY)]
TokensOfATask = Annotated[float, number(at_least=0, at_most=10**9)]


class TokensPerTask(Section, frozen=True, kw_only=True):
    """The tokens of one task, which is one request.

    Attributes:
        input (tokens): Input of one request, cached or not; gives the mix in place of the shares, and the
            long-context tier.
        output (tokens): Output of one request; 0 for an embedding.
        cached (tokens): Of the input, what the cache serves.
    """

    input: TokensOfATask = 0.0
    output: TokensOfATask = 0.0
    cached: TokensOfATask = 0.0

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.cached > self.input:
            text = f"got {self.cached:g}, expected at most the input of the task ({self.input:g})"
            yield ("cached",), text
        elif self.input + self.output - self.cached <= 0:
            text = "nothing of this task has to be computed; write its input and output (--output-per-task)"
            yield (), text


class Plan(Section, frozen=True, kw_only=True):
    """What is planned; the prices are those of the other sections.

    Attributes:
        preset (name): A machine of `evenwatt plan --list-presets`, for what is not written.
        capacity_tokens_per_second (tokens per second): Computed input and output together that it sustains
            at the mix, above 0. None: that of the one engine or of the preset, else 1,000 (assumed).
        input_share (ratio): Input, cached or not, of all tokens, 0 to 1; assumed where it is not written.
        cached_share (ratio): Of the input, what the cache serves, 0 to 1; not both shares are
            1. Assumed where it is not written.
        idle_watts (watts): Drawn with no request running, at most `full_watts`. None: of the preset, else
            as `full_watts` (assumed).
        full_watts (watts): Drawn at full load. None: of the preset; else in the rent, or not known
            (assumed).
        loads (ratio): Rows of the table, above 0 and at most 1.
        tokens_per_day (tokens per day): Tokens of all kinds, above 0; not with `tasks_per_day`. None: no
            volume is planned.
        tasks_per_day (tasks per day): The other way to say it; with `tokens_per_task`.
        tokens_per_task: Gives the mix too, and the size of a request.
        month_hours (hours): Hours in a month: 730 or 720. None: that of `month_hours`.
    """

    preset: Label | None = None
    capacity_tokens_per_second: Annotated[float, number(above=0, at_most=10**9)] | None = None
    input_share: Share = 0.75
    cached_share: Share = 0.0
    idle_watts: Watts | None = None
    full_watts: Watts | None = None
    loads: Annotated[
        tuple[Annotated[float, number(above=0, at_most=1)], ...],
        at_least_one("at least one load above 0 and at most 1, such as 0.5"),
    ] = _LOADS
    tokens_per_day: TokensADay | None = None
    tasks_per_day: TokensADay | None = None
    tokens_per_task: TokensPerTask | None = None
    month_hours: MonthHours | None = None

    def _faults(self) -> Iterator[tuple[KeyPath, str]]:
        if self.idle_watts is not None and self.full_watts is not None and self.idle_watts > self.full_watts:
            yield (
                ("idle_watts",),
                f"got {self.idle_watts:g}, expected at most full_watts ({self.full_watts:g})",
            )
        if self.tokens_per_day is not None and self.tasks_per_day is not None:
            yield ("tasks_per_day",), "given together with tokens_per_day; keep one of them"
        elif self.tasks_per_day is not None and self.tokens_per_task is None:
            needed = "needs the tokens_per_task of one task (--input-per-task, --output-per-task)"
            yield ("tasks_per_day",), needed
        if self.tokens_per_task is not None:
            for key in ("input_share", "cached_share"):
                if key in self.written:
                    yield (key,), "given together with tokens_per_task, which says the mix; keep one of them"
        elif self.input_share * self.cached_share >= 1:
            yield ("cached_share",), "got 1 with input_share 1, which leaves nothing to compute; lower one"
