"""What each alert says: what happened, with its numbers, and what to do."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from evenwatt.sinks.words import UNKNOWN, duration, money, per_mtok, percent, ratio

__all__ = ["WORDS", "AlertWords", "Said"]

Labels = Mapping[str, str]
Figures = Mapping[str, float | None]


class Said(Struct, frozen=True, kw_only=True):
    """What the words are about.

    Attributes:
        figures: The numbers, by name.
        currency: Of all money.
    """

    labels: Labels
    figures: Figures
    currency: str

    def name(self, label: str) -> str:
        """Return the value of a label."""
        return self.labels.get(label, UNKNOWN)

    def figure(self, name: str) -> float | None:
        """Return a number; None where it is not known."""
        return self.figures.get(name)

    def money(self, name: str) -> str:
        """Return a sum of money with its currency."""
        return f"{money(self.figure(name))} {self.currency}"

    def per_mtok(self, name: str) -> str:
        """Return a price of a million tokens with its currency."""
        return f"{per_mtok(self.figure(name))} {self.currency}"


class AlertWords(Struct, frozen=True, kw_only=True):
    """The words of one alert.

    Attributes:
        headline: What is so while it fires.
        numbers: How it stands, whether it fires or not; None: there are none.
        cost: What `cost_per_day` is, before the amount.
        to_do: What to do.
    """

    headline: Callable[[Said], str]
    to_do: str
    numbers: Callable[[Said], str] | None = None
    cost: str = "Meanwhile the machine costs"

    def cost_sentence(self, cost_per_day: float | None, currency: str) -> str:
        """Return what it costs a day."""
        if cost_per_day is None:
            return "What it costs a day is not known."
        if cost_per_day < 0:
            return f"At this moment it costs nothing more: {money(-cost_per_day)} {currency} a day less."
        return f"{self.cost} {money(cost_per_day)} {currency} a day."


def _load(said: Said) -> str:
    at_most = "at most " if said.figure("load_is_upper_bound") else ""
    return (
        f"Token load over {said.name('window')} is {at_most}{percent(said.figure('load_ratio'))}; own tokens "
        f"are cheaper from {percent(said.figure('break_even_load_ratio'))} on."
    )


def _prices(said: Said) -> str:
    return (
        f"Own tokens cost {said.per_mtok('cost_per_mtok')} per Mtok over {said.name('window')}, "
        f"{said.name('reference')} {said.per_mtok('api_price_per_mtok')}."
    )


def _ratio_and_prices(said: Said) -> str:
    worth = ratio(said.figure("break_even_ratio"))
    return f"{_prices(said)} The API's bill would be {worth} times the own cost."


def _jump(said: Said) -> str:
    return (
        f"{said.per_mtok('day_cost_per_mtok')} per Mtok over the last 24h against "
        f"{said.per_mtok('cost_per_mtok')} over the window: {ratio(said.figure('ratio'))} times."
    )


def _disagreement(said: Said) -> str:
    times = ratio(said.figure("counter_power_ratio"))
    return f"The energy counter says {times} times what its power adds up to."


def _age(said: Said) -> str:
    return f"It was last read {duration(said.figure('age_seconds') or 0)} ago."


_EXTRA = "It costs more than the API would, by"

WORDS: Mapping[str, AlertWords] = {
    "EvenwattBelowBreakEvenLoad": AlertWords(
        headline=lambda said: (
            f"{said.name('engine')}: load is below break-even against {said.name('reference')}"
        ),
        numbers=_load,
        cost=_EXTRA,
        to_do=(
            "Move load here, let the machine sleep while it idles, or buy these tokens; "
            "`evenwatt report` says what would turn it."
        ),
    ),
    "EvenwattBelowBreakEven": AlertWords(
        headline=lambda said: f"{said.name('reference')} would have been cheaper over {said.name('window')}",
        numbers=_ratio_and_prices,
        cost=_EXTRA,
        to_do="`evenwatt report` says which change would turn it: more load, a cheaper machine, or the API.",
    ),
    "EvenwattNeverBreaksEven": AlertWords(
        headline=lambda said: f"{said.name('engine')} never breaks even against {said.name('reference')}",
        numbers=_prices,
        cost=_EXTRA,
        to_do=(
            "More load does not help; a lower tariff, a cheaper machine or another mix does. If you do not "
            "mean to buy there, take the reference out of the configuration."
        ),
    ),
    "EvenwattCostPerMtokJumped": AlertWords(
        headline=lambda _: "The cost per Mtok has jumped",
        numbers=_jump,
        cost="The tokens of the last 24h cost more than usual, by",
        to_do="See whether load fell, the tariff rose or a price changed: `evenwatt status` lists events.",
    ),
    "EvenwattIdleBurn": AlertWords(
        headline=lambda said: f"{said.name('engine')} keeps a model loaded and serves nobody",
        numbers=lambda said: (
            f"Idle with a model in memory: {said.money('idle_cost_per_day')} a day; tokens in the last hour: "
            f"{said.figure('tokens') or 0:,.0f}."
        ),
        cost="Idling costs",
        to_do="Unload the model, shorten its keep-alive, or move load to it.",
    ),
    "EvenwattBudgetPace": AlertWords(
        headline=lambda _: "The month goes over its budget at this pace",
        numbers=lambda said: (
            f"{said.money('cost_per_month')} a month at the pace of the window; the budget is "
            f"{said.money('budget_per_month')}."
        ),
        cost="The machine costs",
        to_do="`evenwatt report` shows the cost by component; alerts.budget_per_month is the budget.",
    ),
    "EvenwattEngineDownWhileMoneyFlows": AlertWords(
        headline=lambda said: f"{said.name('engine')} is down while its machine costs money",
        to_do="Start it again; `evenwatt doctor` says what it answers.",
    ),
    "EvenwattSourceStale": AlertWords(
        headline=lambda said: f"{said.name('source')} gives no readings",
        numbers=_age,
        to_do="`evenwatt status` says why. What it counts meanwhile is spread evenly once it answers.",
    ),
    "EvenwattLedgerGap": AlertWords(
        headline=lambda said: f"{said.name('source')} went unwatched for a part of the last hour",
        numbers=lambda said: f"Unwatched within the last hour: {duration(said.figure('gap_seconds') or 0)}.",
        to_do="Totals are right, their place in time is an estimate. See why nobody looked.",
    ),
    "EvenwattPriceAssumed": AlertWords(
        headline=lambda said: f"{said.name('setting')} is assumed, and it decides the cost",
        to_do="`evenwatt check-config` gives the line to write.",
    ),
    "EvenwattPriceStale": AlertWords(
        headline=lambda _: "The electricity feed has no price for now",
        numbers=lambda said: f"The last known one is used: {said.per_mtok('price_per_kwh')} per kWh.",
        to_do="`evenwatt status` says what the feed answers.",
    ),
    "EvenwattPricePending": AlertWords(
        headline=lambda said: f"A changed price of {said.name('reference')} waits to be accepted",
        to_do="Comparisons go by the earlier price until then: `evenwatt prices accept`.",
    ),
    "EvenwattGpuLost": AlertWords(
        headline=lambda said: f"GPU {said.name('gpu')} ({said.name('uuid')}) does not answer",
        to_do=(
            "`evenwatt status` has the driver's words. Often only a reset or a reboot helps; "
            "`evenwatt gpu release` lets go of it first."
        ),
    ),
    "EvenwattEnergyDisagrees": AlertWords(
        headline=lambda said: f"GPU {said.name('gpu')}: energy counter and power disagree",
        numbers=_disagreement,
        to_do="The counter is what is booked; compare it with a wall meter (`evenwatt meter calibrate`).",
    ),
    "EvenwattHistoryNotWritten": AlertWords(
        headline=lambda _: "The history is not written",
        numbers=lambda said: f"Ticks that wait in memory: {said.figure('ticks') or 0:,.0f}.",
        to_do="See `evenwatt status`, and whether the disk is full; the ticks would be lost with the agent.",
    ),
    "EvenwattHistorySetAside": AlertWords(
        headline=lambda _: "The history was corrupt, and a new one was begun",
        to_do="The old one lies beside it under another name. Look at the disk.",
    ),
    "EvenwattConfigurationRefused": AlertWords(
        headline=lambda _: "The configuration on disk is wrong, and the one before stays in force",
        to_do="`evenwatt check-config` says where.",
    ),
}
"""By the name of the alert."""
