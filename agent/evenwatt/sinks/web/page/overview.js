// The rest of the first screen: what a newcomer has to know, the curve, money per day.

import { curveChart, daysChart, daysLegend } from "./charts.js";
import { behind, code, clean, drawInto, el, name, p, show, table, teach } from "./dom.js";
import { breakEvenLoad } from "./economics.js";
import { COMPONENTS, COMPONENT_NAMES, WINDOWS, compact, day, money, never, perMtok, percent, significant } from "./format.js";
import { PRICES, missing } from "./verdict.js";

const infinite = (value) => (value === "never" ? Infinity : value);

// --- what a newcomer has to know ------------------------------------------------------------------------------

export const showTaught = (status, report) => {
  const found = [];
  if (!status) { show("taught"); return; }
  if (!status.gpus.length) {
    found.push(teach("No GPU is metered", p("The agent found no NVIDIA GPU, or may not ask its driver. Energy and cost of GPUs are missing from everything here."),
      p(el("code", {}, "evenwatt doctor"), " says why.")));
  }
  if (!status.engines.length) {
    found.push(teach("No engine is read", p("The agent looks for vLLM, SGLang, llama.cpp, Ollama and others on this machine each minute and found none. Where one listens elsewhere, write it into the configuration:"),
      code("engines:\n  - {name: chat, kind: vllm, url: \"http://127.0.0.1:8000\"}")));
  } else if (report && !report.totals.tokens.total_tokens) {
    found.push(teach("No tokens yet", p("The engines answer, and served nothing in this window. Ask one of them something: the next tick counts it.")));
  }
  const prices = status.assumptions.filter((item) => PRICES.test(item.setting));
  if (prices.length) {
    found.push(teach(`${prices.length === 1 ? "A price is" : "Prices are"} assumed`, p("Costs stand on values that nobody wrote down. Write these lines into the configuration to make them yours:"),
      prices.map((item) => [p(clean(item.text)), code(item.line_to_write)])));
  }
  show("taught", found);
};

// --- the curve ------------------------------------------------------------------------------------------------

export const pricesOf = (report, line) => report.comparisons
  .map((item, number_) => ({ name: item.reference, number: number_, price: item.price_per_mtok,
    even: line ? breakEvenLoad(line, item.price_per_mtok) : infinite(item.break_even_load_ratio) }))
  .filter((item) => item.price !== null && item.price > 0);

export const showCurve = (report) => {
  const { curve, head } = report;
  if (!curve) {
    show("curve-told");
    drawInto("curve", () => teach("The curve needs a load and a full cost",
      p(report.totals.tokens.total_tokens
        ? (report.load_ratio === null
          ? "How much the engine can do is not known yet. It is learned as soon as requests have waited; or measure it, or write it down:"
          : `The ${missing(report.totals.costs).join(" and ")} cost is not known.`)
        : "Nothing was served in this window, so there is no point to draw."),
      report.totals.tokens.total_tokens && report.load_ratio === null
        ? code("evenwatt calibrate\n# or, in the configuration, at the engine:\ncapacity_tokens_per_second: 2000") : null));
    show("curve-table");
    return;
  }
  const prices = pricesOf(report);
  const { currency } = head;
  show("curve-told", `What a million tokens cost here at each load, over the last ${WINDOWS[head.window.label] ?? head.window.label}; the dot is where the machine stood, the rings are where it is even with an API.`,
    curve.is_load_upper_bound ? " The capacity is only the most that was seen, so the true load is at most this." : "");
  drawInto("curve", (width) => curveChart(width, { line: curve.line, observed: curve.observed, prices, currency, label: "here" }));
  behind("curve-table", "The numbers behind the curve", [
    table("Against each API", [{ title: "API", text: true }, { title: `per Mtok` }, { title: "without its cache" }, { title: "even from load" }, { title: "even from Mtok a month" }, { title: "bill" }, { title: "saved" }],
      report.comparisons.map((item) => [name(item.reference, 60), perMtok(item.price_per_mtok, currency), perMtok(item.price_per_mtok_no_cache, currency),
        never(item.break_even_load_ratio, (value) => percent(value, 1)),
        never(item.break_even_mtok_per_month, (value) => significant(value, 4)),
        money(item.api_cost, currency), money(item.saved, currency)])),
    table("Own cost by load", [{ title: "load" }, { title: "per Mtok" }],
      [curve.observed, ...curve.points.filter((_, index) => (index + 1) % 10 === 0 || index === 0 || index === 4)]
        .sort((one, other) => one.load_ratio - other.load_ratio)
        .map((point) => [percent(point.load_ratio, 1), perMtok(point.cost_per_mtok, currency)])),
  ]);
};

// --- money per day --------------------------------------------------------------------------------------------

export const showDays = (report) => {
  const { currency } = report.head;
  const days = report.days.filter((item) => item.accounted_seconds > 0);
  const totals = report.totals;
  if (!days.length) { show("days-told"); drawInto("days", () => teach("No day yet", p("The first bar comes with the first minutes of metering."))); show("days-table"); return; }
  if (!days.some((item) => COMPONENTS.some((part) => item.costs[part]))) {
    show("days-told");
    drawInto("days", () => teach("Nothing to add up", p(`What these days cost is not known: ${missing(totals.costs).join(" and ") || "nothing cost anything"}.`)));
    show("days-table");
    return;
  }
  const share = totals.idle_cost !== null && totals.costs.full ? ` ${percent(totals.idle_cost / totals.costs.full)} of it while no request ran.` : "";
  const lacking = missing(totals.costs);
  show("days-told", totals.costs.full === null ? `Not known: ${lacking.join(" and ")}.` : `${money(totals.costs.full, currency)} over ${days.length} ${days.length === 1 ? "day" : "days"}.${share}`);
  drawInto("days", (width) => [daysLegend(days), daysChart(width, { days, currency })]);
  behind("days-table", "The numbers behind the days", table("Cost per day",
    [{ title: "day", text: true }, ...COMPONENTS.map((part) => ({ title: COMPONENT_NAMES[part] })), { title: "full" }, { title: "idle" }, { title: "tokens" }, { title: "per Mtok" }],
    days.map((item) => [day(item.date), ...COMPONENTS.map((part) => money(item.costs[part], currency)), money(item.costs.full, currency),
      money(item.idle_cost, currency), compact(item.tokens.total_tokens), perMtok(item.cost_per_mtok, currency)])));
};
