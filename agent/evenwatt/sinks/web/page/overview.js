// The first screen: the verdict, the four costs, the curve, money per day.

import { COMPONENTS, COMPONENT_NAMES, curveChart, daysChart, daysLegend } from "./charts.js";
import { behind, byId, clean, code, drawInto, el, name, p, show, table, teach } from "./dom.js";
import { breakEvenLoad } from "./economics.js";
import { WINDOWS, compact, day, duration, money, never, perMtok, percent, significant } from "./format.js";

const CHOSEN = "evenwatt-reference";
const remembered = () => { try { return localStorage.getItem(CHOSEN); } catch { return null; } };
const remember = (value) => { try { localStorage.setItem(CHOSEN, value); } catch { /* until the page is closed */ } };

const PRICES = /^(electricity|hardware)/;
const infinite = (value) => (value === "never" ? Infinity : value);
const load = (report) => {
  const upper = report.curve?.is_load_upper_bound ? "at most " : "";
  return report.load_ratio === null ? "" : ` at ${upper}${percent(report.load_ratio)} load`;
};

const chosenOf = (report) => {
  const priced = report.comparisons.filter((item) => item.price_per_mtok !== null);
  return priced.find((item) => item.reference === remembered()) ?? priced[0] ?? null;
};

// --- the verdict ----------------------------------------------------------------------------------------------

const missing = (costs) => COMPONENTS.filter((part) => costs[part] === null).map((part) => COMPONENT_NAMES[part]);

const sentence = (report) => {
  const { currency, window } = report.head;
  const own = report.totals.cost_per_mtok.full_total;
  const span = `Last ${WINDOWS[window.label] ?? window.label}`;
  if (!report.totals.tokens.total_tokens) {
    const spent = report.totals.costs.full;
    return [`${span}: no token was served`, spent === null ? "." : `, and the machine cost ${money(spent, currency)} all the same.`];
  }
  if (own === null) {
    const energy = report.totals.cost_per_mtok.energy_total;
    const lacking = missing(report.totals.costs).join(" and ");
    return [`${span}: the ${lacking || "full"} cost is not known${energy === null ? "" : `; electricity alone is ${perMtok(energy, currency)} per Mtok`}${load(report)}.`];
  }
  const said = [`${span}: ${perMtok(own, currency)} per Mtok${load(report)}.`];
  const api = chosenOf(report);
  if (api) {
    const saved = api.saved;
    const end = saved === null ? "." : saved >= 0 ? `: you saved ${money(saved, currency)}.` : `: serving here cost ${money(-saved, currency)} more.`;
    said.push(" ", name(api.reference, 40), ` would have cost ${perMtok(api.price_per_mtok, currency)}${end}`);
  }
  return said;
};

// What the sentence leaves out. The report's own words stand where they have no number in them: here those are local.
const rest = (report) => {
  const { head, verdict } = report;
  const { currency } = head;
  const chosen = chosenOf(report);
  const told = [];
  if (verdict.outcome !== "no_tokens" && (report.totals.cost_per_mtok.full_total === null || !chosen)) {
    told.push(clean(verdict.sentence));
  } else if (verdict.outcome === "unknown") {
    told.push("It is too early to judge by.");
  }
  for (const item of report.comparisons) {
    if (item === chosen || item.price_per_mtok === null || item.saved === null) continue;
    told.push([name(item.reference, 40), `: ${perMtok(item.price_per_mtok, currency)}, ${money(Math.abs(item.saved), currency)} ${item.saved >= 0 ? "saved" : "more paid here"}.`]);
  }
  if (head.coverage_ratio < 0.995) told.push(`The agent watched ${percent(head.coverage_ratio)} of this window.`);
  if (head.estimated_ratio > 0.005) told.push(`${percent(head.estimated_ratio)} of the accounted time is estimated.`);
  const assumed = head.assumptions.filter((item) => PRICES.test(item.setting));
  if (assumed.length) told.push("It stands on prices that are assumed.");
  return told.flatMap((words) => [words, " "]);
};

export const showVerdict = (report) => {
  const { head } = report;
  show("verdict", sentence(report));
  byId("verdict").dataset.outcome = report.verdict.outcome;
  show("told", rest(report));
  show("machine", name(head.machine, 32));
  if (!performance.getEntriesByName("evenwatt-verdict").length) performance.mark("evenwatt-verdict");
  const select = byId("reference");
  const priced = report.comparisons.filter((item) => item.price_per_mtok !== null);
  byId("compare").hidden = priced.length < 2;
  if (document.activeElement !== select) {
    show(select, priced.map((item) => el("option", { value: item.reference }, clean(item.reference).slice(0, 80))));
    select.value = chosenOf(report)?.reference ?? "";
  }
  select.onchange = () => { remember(select.value); showVerdict(report); };
};

// --- the four costs -------------------------------------------------------------------------------------------

const figure = (label, value, note, isUnknown = false) => el("div", {},
  el("dt", {}, label), el("dd", { class: isUnknown ? "value unknown" : "value" }, value), el("dd", { class: "note" }, note));

export const showFigures = (live, reports) => {
  const currency = live?.currency ?? Object.values(reports).find(Boolean)?.head.currency ?? "";
  const cells = [];
  if (live) {
    const cost = live.now.cost_per_mtok;
    cells.push(figure("Now, per Mtok", cost === null ? "no figure" : perMtok(cost, currency),
      live.now.tokens ? `last ${duration(Math.max(live.now.seconds, 1))}` : `no token in the last ${duration(Math.max(live.now.seconds, 1))}`, cost === null));
  }
  for (const [window, words] of Object.entries(WINDOWS)) {
    const report = reports[window];
    if (report === undefined) { cells.push(figure(`${words}, per Mtok`, "…", "")); continue; }
    if (report === null) { cells.push(figure(`${words}, per Mtok`, "no figure", "not known yet", true)); continue; }
    const own = report.totals.cost_per_mtok;
    const total = report.totals.tokens.total_tokens;
    const short = report.head.coverage_ratio < 0.995 ? `, ${percent(report.head.coverage_ratio)} watched` : "";
    const note = total ? `${compact(total)} tokens${short}` : `no tokens${short}`;
    if (own.full_total === null && own.energy_total !== null) {
      cells.push(figure(`${words}, electricity only`, perMtok(own.energy_total, currency), note));
    } else {
      cells.push(figure(`${words}, per Mtok`, own.full_total === null ? "no figure" : perMtok(own.full_total, currency), note, own.full_total === null));
    }
  }
  show("figures", cells);
};

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
