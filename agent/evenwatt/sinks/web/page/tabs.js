// What lies behind tabs: each is drawn when it is looked at, from what the agent was asked last.

import { curveChart, weekChart } from "./charts.js";
import { ask } from "./data.js";
import { behind, byId, clean, code, drawInto, el, name, p, show, svg, table, teach } from "./dom.js";
import { changedLine, costPerMtokAtLoad, whatIf } from "./economics.js";
import { COMPONENTS, UNKNOWN, WINDOWS, bytes, compact, duration, kwh, money, moment, moneyTick, number, perMtok, percent, significant, watts, weekdays } from "./format.js";
import { linesChart } from "./lines.js";
import { pricesOf } from "./overview.js";

const UNALLOCATED = "unallocated";
const heading = (text, note) => [el("h3", {}, text), note ? el("p", { class: "soft" }, note) : null];

// --- models and clients ---------------------------------------------------------------------------------------

const models = async (state) => {
  const report = state.reports[state.window];
  if (!report) return [teach("Nothing is known of this window yet", p("It comes with the first minutes of metering."))];
  const { currency } = report.head;
  const rows = report.rows.map((row) => [row.engine === UNALLOCATED ? "no engine" : name(row.engine, 24), row.engine === UNALLOCATED ? UNKNOWN : name(row.model),
    compact(row.tokens.total_tokens), percent(row.token_share), money(row.costs.full, currency), percent(row.cost_share), money(row.idle_cost, currency),
    perMtok(row.cost_per_mtok.full_total, currency), perMtok(row.cost_per_mtok.energy_total, currency), percent(row.load_ratio, 1)]);
  const found = [...heading("Models", "Shares are allocations where engines share a GPU or models an engine. Together with what no engine used they are the whole machine."),
    table("Cost by model", [{ title: "engine", text: true }, { title: "model", text: true }, { title: "tokens" }, { title: "of all" }, { title: "cost" }, { title: "of all" },
      { title: "idle" }, { title: "per Mtok" }, { title: "electricity" }, { title: "load" }], rows)];
  const bills = (await ask("clients", { window: state.window })).bills.filter((bill) => bill.client !== UNALLOCATED);
  if (!bills.length) {
    found.push(...heading("Clients"), teach("No client is known", p("Who asked is only known where tokens are counted by client: ", el("code", {}, "evenwatt proxy"), " with keys for its clients, or LiteLLM.")));
  } else {
    found.push(...heading("Clients", "Each one's part of its model's cost, by tokens."),
      table("Cost by client", [{ title: "client", text: true }, { title: "engine", text: true }, { title: "model", text: true }, { title: "share" }, { title: "cost" }],
        bills.map((bill) => [name(bill.client), name(bill.engine, 24), name(bill.model), percent(bill.share, 1), money(bill.costs.full, currency)])));
  }
  return found;
};

// --- GPUs -----------------------------------------------------------------------------------------------------

// Without a bar where one of the two is not known: an empty or a full one would say something.
const meter = (label, value, most, text) => el("div", { class: "meter" }, el("span", {}, label),
  value === null || most === null ? el("span") : el("meter", { min: 0, max: most, value, "aria-label": label }), el("span", { class: "number" }, text));

const gpus = async (state) => {
  const { gpus: cards, host } = state.status;
  if (!cards.length) {
    return [teach("No GPU is metered", p("No NVIDIA driver answers here, or this user may not ask it."), p(el("code", {}, "evenwatt doctor"), " says why, and what to do."))];
  }
  return [el("div", { class: "cards" }, cards.map((gpu) => el("article", { class: "card" },
    el("h3", {}, `${gpu.index}: `, name(gpu.name, 40)),
    gpu.fault ? el("p", { class: "bad" }, clean(gpu.fault)) : null,
    meter("power", gpu.power_watts, gpu.power_limit_watts, `${watts(gpu.power_watts)}${gpu.power_limit_watts ? ` of ${watts(gpu.power_limit_watts)}` : ""}`),
    meter("memory", gpu.memory_used_bytes, gpu.memory_bytes, `${bytes(gpu.memory_used_bytes)} of ${bytes(gpu.memory_bytes)}`),
    meter("kernels running", gpu.utilization_ratio, 1, percent(gpu.utilization_ratio)),
    el("p", { class: "soft" }, `${gpu.temperature_celsius === null ? UNKNOWN : `${number(gpu.temperature_celsius, 0)} °C`} · ${kwh(gpu.energy_joules)} in all, by its ${gpu.energy_source === "counter" ? "energy counter" : "power"} · `,
      gpu.engines.map((engine, index) => [index ? ", " : "", engine === UNALLOCATED ? "no engine" : name(engine, 24)]))))),
  el("p", { class: "soft" }, host.source ? `Beside the GPUs: ${watts(host.host_watts)}, told by ${clean(host.source)}.` : `What the machine draws beside its GPUs is not measured. ${clean(host.reason)}`)];
};

// --- the week -------------------------------------------------------------------------------------------------

const WEEK_VALUES = {
  tokens: ["tokens per hour", (cell) => cell.tokens_per_hour, (value) => `${compact(value)} tokens an hour`],
  load: ["load", (cell) => cell.load_ratio, (value) => percent(value, 1)],
  cost: ["cost per Mtok", (cell) => cell.cost_per_mtok, null],
  power: ["power", (cell) => cell.watts, watts],
};

const week = async (state, panel) => {
  const report = state.reports["30d"] ?? state.reports["7d"];
  if (!report?.week.has_tokens && !report?.week.cells.some((cell) => cell.hours)) {
    return [teach("No hour yet", p("The week fills up as it passes."))];
  }
  const { currency } = report.head;
  const draw = (key) => {
    state.weekKey = key;
    const [label, value, words] = WEEK_VALUES[key];
    const text = words ?? ((number_) => `${perMtok(number_, currency)} per Mtok`);
    drawInto(chart, (width) => weekChart(width, { cells: report.week.cells, value, text }));
    const names = weekdays("long");
    behind(numbers, "The numbers behind the week", table(`Hours of the week: ${label}`,
      [{ title: "hour", text: true }, ...names.map((weekday) => ({ title: weekday }))],
      Array.from({ length: 24 }, (_, hour) => [`${String(hour).padStart(2, "0")}:00`, ...names.map((__, weekday) => {
        const own = value(report.week.cells[weekday * 24 + hour]);
        return own === null ? UNKNOWN : text(own);
      })])));
  };
  const chart = el("div", { class: "chart" });
  const numbers = el("div");
  const select = el("select", { id: "week-value", onchange: (event) => draw(event.target.value) },
    Object.entries(WEEK_VALUES).map(([key, [label]]) => el("option", { value: key, selected: key === (state.weekKey ?? "tokens") }, label)));
  show(panel, el("p", { class: "controls" }, el("label", { for: "week-value" }, "Show"), " ", select),
    el("p", { class: "soft" }, `Means over the last ${WINDOWS[report.head.window.label]}, in the time of ${report.head.window.zone_name}; the strongest colour has the most.${report.week.is_approximate ? " Hours are approximate." : ""}`),
    chart, numbers);
  draw(state.weekKey ?? "tokens");
  return null;
};

// --- history --------------------------------------------------------------------------------------------------

const SPANS = [["6 hours", 21_600], ["day", 86_400], ["week", 604_800], ["month", 2_592_000], ["year", 31_536_000]];

const stroke = (colour) => {
  const line = svg("line", { x1: 0, x2: 14, y1: 5, y2: 5, "stroke-width": 3 });
  line.style.stroke = `var(${colour})`;
  return svg("svg", { class: "stroke", viewBox: "0 0 14 10", "aria-hidden": "true" }, line);
};

const TABLE_MILLISECONDS = 250; // who zooms on sees no table, and it takes the time of two frames

// Unknown where a part is unknown; cached tokens alone may be.
const withSums = (columns) => ({
  ...columns,
  tokens_per_second: columns.input_tokens_per_second.map((input, index) => (input === null ? null
    : input + (columns.cached_input_tokens_per_second[index] ?? 0) + columns.output_tokens_per_second[index])),
  cost_per_hour: columns.utc_seconds.map((_, index) => COMPONENTS.map((part) => columns[`${part}_cost_per_hour`][index])
    .reduce((sum, cost) => (sum === null || cost === null ? null : sum + cost), 0)),
});

const history = async (state, panel) => {
  const view = state.history ??= { from: null, to: null, span: 86_400 };
  const charts = el("div", { class: "stack" });
  const told = el("p", { class: "soft", "aria-live": "polite" });
  const readout = el("p", { class: "readout", "aria-hidden": "true" }, "\u00a0");
  const numbers = el("div");
  const { currency, zone } = state;
  const drawn = [
    ["Power", [["power", "power_watts", "--energy", true]], watts],
    ["Tokens per second", [["all", "tokens_per_second", "--own", true], ["output", "output_tokens_per_second", "--api-0", false]], compact],
    ["Cost per hour", [["full", "cost_per_hour", "--hardware", true], ["idle", "idle_cost_per_hour", "--soft", false]], (value, most) => moneyTick(value, currency, most)],
  ];
  let columns = null;
  let plots = [];
  let turn = 0;
  let later = 0;

  const load = async () => {
    const mine = turn += 1;
    try {
      const asked = { points: Math.max(Math.min(Math.floor(charts.clientWidth / 1.5) || 400, 800), 100) };
      if (view.from !== null) { asked.from = Math.floor(view.from); asked.to = Math.ceil(view.to); }
      else { const now = Math.floor(Date.now() / 1000); asked.from = now - view.span; asked.to = now + 60; }
      const answer = await ask("history", asked);
      if (mine !== turn) return;
      columns = withSums(answer);
      if (plots.length) plots.forEach((plot, index) => plot.setData(dataOf(drawn[index])));
      else draw();
      tell();
    } catch (error) {
      if (mine === turn) show(told, `The history cannot be shown: ${clean(error.message)}`);
    }
  };
  // At once with the points that are there; finer ones, or wider, come from the agent.
  const zoom = (from, to) => {
    view.from = from;
    view.to = Math.max(to, from + 300);
    for (const plot of plots) plot.setScale("x", { min: view.from, max: view.to });
    return load();
  };
  const range = () => [view.from ?? columns.start_utc_seconds, view.to ?? columns.end_utc_seconds];
  // Neither beyond what the history holds: there is nothing to see.
  const move = (share) => {
    if (!columns) return;
    const [from, to] = range();
    const most = Math.max(columns.last_utc_seconds - to, 0);
    const least = Math.min(columns.first_utc_seconds - from, 0);
    const shift = Math.max(Math.min((to - from) * share, most), least);
    zoom(from + shift, to + shift);
  };
  const scale = (factor) => {
    if (!columns) return;
    const [from, to] = range();
    const middle = (from + to) / 2;
    const half = (to - from) * factor / 2;
    zoom(Math.max(middle - half, columns.first_utc_seconds), Math.min(middle + half, columns.last_utc_seconds));
  };

  const dataOf = ([, series]) => [columns.utc_seconds, ...series.map(([, key]) => columns[key])];
  const draw = () => {
    const width = charts.clientWidth;
    if (!columns || !width) return;
    for (const plot of plots) plot.destroy();
    charts.replaceChildren();
    plots = drawn.map((one) => {
      const [title, series, text] = one;
      const holder = el("div");
      charts.append(el("figure", {}, el("figcaption", {}, el("b", {}, title), " ", series.length > 1 ? series.map(([label, , colour]) => [stroke(colour), label]) : null), holder));
      const plot = linesChart(holder, { width, height: 150, columns: dataOf(one),
        series: series.map(([label, , colour, filled]) => ({ label, colour, fill: filled })), text, zone, onZoom: zoom, step: true });
      plot.over.addEventListener("mousemove", () => {
        const index = plot.cursor.idx;
        if (index === null || index === undefined) return;
        const c = columns;
        show(readout, `${moment(c.utc_seconds[index], zone)}: ${watts(c.power_watts[index])}, ${compact(c.tokens_per_second[index])} tokens a second, ${money(c.cost_per_hour[index], currency)} an hour, ${perMtok(c.cost_per_mtok[index], currency)} per Mtok`);
      });
      plot.over.addEventListener("dblclick", () => scale(4));
      return plot;
    });
  };
  const tell = () => {
    const c = columns;
    show(told, `${moment(c.start_utc_seconds, zone)} to ${moment(c.end_utc_seconds, zone)}, a point each ${duration(c.width_seconds)}. Drag across a chart to look closer, click it twice to step back.`);
    clearTimeout(later);
    later = setTimeout(tabulate, TABLE_MILLISECONDS);
  };
  const tabulate = () => {
    const c = columns;
    const step = Math.ceil(c.utc_seconds.length / 40);
    behind(numbers, "The numbers behind the charts", table("History", [{ title: "from", text: true }, { title: "power" }, { title: "tokens per second" }, { title: "cost per hour" }, { title: "idle" }, { title: "per Mtok" }],
      c.utc_seconds.map((_, index) => index).filter((index) => index % step === 0).map((index) => [moment(c.utc_seconds[index], zone), watts(c.power_watts[index]), compact(c.tokens_per_second[index]),
        money(c.cost_per_hour[index], currency), money(c.idle_cost_per_hour[index], currency), perMtok(c.cost_per_mtok[index], currency)])));
  };
  const button = (label, spoken, act) => el("button", { type: "button", "aria-label": spoken, onclick: act }, label);
  show(panel, el("p", { class: "controls" },
    el("label", { for: "history-span" }, "Last"), " ",
    el("select", { id: "history-span", onchange: (event) => { view.from = view.to = null; view.span = Number(event.target.value); load(); } },
      SPANS.map(([label, seconds]) => el("option", { value: seconds, selected: seconds === view.span }, label))),
    button("←", "Earlier", () => move(-0.5)), button("→", "Later", () => move(0.5)), button("+", "Zoom in", () => scale(0.5)), button("−", "Zoom out", () => scale(2))),
  told, charts, readout, numbers);
  new ResizeObserver(() => { if (plots.length && plots[0].width !== charts.clientWidth) draw(); }).observe(charts);
  state.redraw = draw;
  await load();
  return null;
};

// --- alerts and events ----------------------------------------------------------------------------------------

const events = async (state) => {
  const found = [...heading("Alerts")];
  const { alerts, notifiers } = state.status;
  const holding = alerts.filter((alert) => alert.state === "firing" || alert.state === "pending");
  const about = (labels) => Object.values(labels).map((value, index) => [index ? ", " : "", name(value, 30)]);
  found.push(holding.length
    ? table("Alerts that hold", [{ title: "alert", text: true }, { title: "about", text: true }, { title: "state", text: true }, { title: "severity", text: true }, { title: "since" }, { title: "costs a day" }],
      holding.map((alert) => [clean(alert.alert), el("span", {}, about(alert.labels)), el("span", { class: alert.state === "firing" ? "bad" : null }, clean(alert.state)), clean(alert.severity),
        moment(alert.since_utc_seconds, state.zone), money(alert.cost_per_day, state.currency)]))
    : p(`None of ${number(alerts.length, 0)} alerts holds.`));
  found.push(notifiers.length
    ? table("Who is told", [{ title: "notifier", text: true }, { title: "kind", text: true }, { title: "state", text: true }, { title: "waiting" }],
      notifiers.map((item) => [name(item.notifier, 40), clean(item.kind), item.up === null ? "nothing told yet" : item.up ? el("span", { class: "good" }, "up") : el("span", { class: "bad" }, clean(item.error ?? "down").slice(0, 200)), number(item.waiting, 0)]))
    : el("p", { class: "soft" }, "Nobody is told: ", el("code", {}, "alerts.notify"), " in the configuration names whom."));
  const { events: told } = await ask("events", { limit: 100 });
  found.push(...heading("Events", "What happened, the latest first: restarts, gaps, prices, configuration."));
  found.push(told.length
    ? table("Events", [{ title: "when", text: true }, { title: "kind", text: true }, { title: "about", text: true }, { title: "what", text: true }],
      told.map((event) => [moment(event.utc_seconds, state.zone), clean(event.kind).replaceAll("_", " "), name(event.subject, 30), clean(event.text).slice(0, 600)]))
    : p("Nothing happened yet."));
  return found;
};

// --- sources --------------------------------------------------------------------------------------------------

const sources = async (state) => {
  const { status } = state;
  const now = status.utc_seconds;
  return [...heading("Sources", "What is read at each tick. One that is down holds up no other; its time goes on as idle."),
    table("Sources", [{ title: "source", text: true }, { title: "kind", text: true }, { title: "state", text: true }, { title: "last answer" }, { title: "took" }, { title: "address", text: true }],
      status.sources.map((source) => [name(source.source, 30), clean(source.kind),
        source.up ? el("span", { class: "good" }, "up") : el("span", { class: "bad" }, `down: ${clean(source.error ?? "").slice(0, 300)}`),
        source.last_success_utc_seconds === null ? "never" : `${duration(Math.max(now - source.last_success_utc_seconds, 0))} ago`,
        source.read_duration_seconds === null ? UNKNOWN : `${significant(source.read_duration_seconds * 1000, 2)} ms`, name(source.address, 60)])),
    ...heading("History"),
    p(name(status.history.path, 80), status.history.up ? ` is written${status.history.file_bytes ? `; ${bytes(status.history.file_bytes)} now` : ""}${status.history.year_bytes ? `, about ${bytes(status.history.year_bytes)} in a year` : ""}.` : ` cannot be written: ${clean(status.history.error ?? "")}; ${status.history.pending_ticks} ticks wait in memory.`),
    ...heading("Scrapes"),
    p(status.last_scrape_utc_seconds === null ? "Nobody has read /metrics since the agent started." : [`Last read ${duration(Math.max(now - status.last_scrape_utc_seconds, 0))} ago by `, name(status.last_scrape_by, 60), "."])];
};

// --- assumptions ----------------------------------------------------------------------------------------------

const assumptions = async (state) => {
  const { status } = state;
  const notes = [...status.notes.map((note) => note.text), ...(state.reports["7d"]?.head.notes ?? [])];
  return [...heading("Assumptions", status.assumptions.length ? "Nobody wrote these down. Each comes with the line that makes it true." : null),
    status.assumptions.length
      ? el("ol", { class: "assumptions" }, status.assumptions.map((item) => el("li", {}, el("b", {}, clean(item.setting)), p(clean(item.text)), code(item.line_to_write))))
      : p("None: every price that costs stand on was written by you."),
    notes.length ? heading("Notes") : null,
    notes.length ? el("ul", {}, [...new Set(notes)].map((note) => el("li", {}, clean(note)))) : null,
    status.pending_prices?.length ? heading("Prices that wait to be accepted", "evenwatt prices accept takes them over; until then the old ones count.") : null,
    status.pending_prices?.length ? table("Offered prices", [{ title: "API", text: true }, { title: "counts", text: true }, { title: "offered", text: true }],
      status.pending_prices.map((item) => [name(item.reference), clean(item.accepted), clean(item.offered)])) : null];
};

// --- what if --------------------------------------------------------------------------------------------------

const whatif = async (state, panel) => {
  const report = state.reports["30d"]?.curve?.parts ? state.reports["30d"] : state.reports["7d"];
  const parts = report?.curve?.parts;
  const priced = report?.comparisons.filter((item) => item.price_per_mtok > 0) ?? [];
  if (!parts || !priced.length) {
    return [teach("Sliders need a full cost, a load and an API to compare with", p("They come as soon as the curve above can be drawn."))];
  }
  const { currency, month_hours: monthHours } = report.head;
  const start = { load: report.curve.observed.load_ratio, electricity: 1, hardware: 1, reference: priced[0].reference };
  const chosen = state.whatif ??= { ...start };
  if (!priced.some((item) => item.reference === chosen.reference)) chosen.reference = priced[0].reference;
  const chart = el("div", { class: "chart tall" });
  const outcome = el("dl", { class: "figures three", "aria-live": "polite" });
  const numbers = el("div");
  const slider = (key, label, least, most, step, words) => {
    const id = `what-if-${key}`;
    const output = el("output", { for: id }, words(chosen[key]));
    const input = el("input", { id, type: "range", min: least, max: most, step, value: chosen[key],
      "aria-valuetext": words(chosen[key]), oninput: (event) => {
        chosen[key] = Number(event.target.value);
        output.textContent = words(chosen[key]);
        input.setAttribute("aria-valuetext", words(chosen[key]));
        draw();
      } });
    return el("div", { class: "slider" }, el("label", { for: id }, label), input, output);
  };
  const draw = () => {
    const change = { load_ratio: chosen.load, electricity_factor: chosen.electricity, hardware_factor: chosen.hardware };
    const api = priced.find((item) => item.reference === chosen.reference);
    const line = changedLine(parts, change);
    const found = whatIf(parts, change, api.price_per_mtok, monthHours);
    const cell = (label, value, note) => el("div", {}, el("dt", {}, label), el("dd", { class: "value" }, value), el("dd", { class: "note" }, note));
    show(outcome,
      cell("per Mtok", perMtok(found.cost_per_mtok, currency), `now ${perMtok(report.curve.observed.cost_per_mtok, currency)}`),
      cell("even from load", found.break_even_load_ratio === Infinity ? "never" : percent(found.break_even_load_ratio, 1), `against ${perMtok(api.price_per_mtok, currency)}`),
      cell(found.saved_per_month >= 0 ? "saved a month" : "lost a month", money(Math.abs(found.saved_per_month), currency),
        `own ${money(found.own_cost_per_month, currency)}, API ${money(found.api_cost_per_month, currency)}`));
    drawInto(chart, (width) => curveChart(width, { line, before: report.curve.line, currency, label: "then",
      observed: { load_ratio: chosen.load, cost_per_mtok: found.cost_per_mtok }, prices: pricesOf(report, line).filter((item) => item.name === chosen.reference) }));
    behind(numbers, "The numbers behind the curve", table("Cost per Mtok by load", [{ title: "load" }, { title: "then" }, { title: "as it was" }],
      [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].map((load) => [percent(load), perMtok(costPerMtokAtLoad(line, load), currency), perMtok(costPerMtokAtLoad(report.curve.line, load), currency)])));
  };
  const price = parts.price_per_kwh;
  show(panel, el("p", { class: "soft" }, `Starts from the last ${WINDOWS[report.head.window.label]}. Everything that no slider moves stays as it was; a month has ${number(monthHours, 0)} hours.`),
    el("div", { class: "sliders" },
      slider("load", "Load", 0.005, Math.max(1, start.load), 0.005, (value) => percent(value, 1)),
      slider("electricity", "Electricity price", 0, 4, 0.05, (value) => price === null ? percent(value) : `${perMtok(price * value, currency)} per kWh`),
      slider("hardware", "Hardware price", 0, 3, 0.05, (value) => `${money(parts.purchase_price === null ? parts.hardware_cost_per_hour * monthHours * value : parts.purchase_price * value, currency)}${parts.purchase_price === null ? " a month" : ""}`),
      el("div", { class: "slider" }, el("label", { for: "what-if-reference" }, "Reference"),
        el("select", { id: "what-if-reference", onchange: (event) => { chosen.reference = event.target.value; draw(); } },
          priced.map((item) => el("option", { value: item.reference, selected: item.reference === chosen.reference }, clean(item.reference).slice(0, 80)))),
        el("button", { type: "button", onclick: () => { state.whatif = null; open(state, "whatif"); } }, "Reset"))),
    outcome, chart, numbers);
  draw();
  return null;
};

// --- the tabs themselves --------------------------------------------------------------------------------------

const TABS = [
  ["models", "Models and clients", models], ["gpus", "GPUs", gpus], ["week", "Week", week], ["history", "History", history],
  ["events", "Alerts and events", events], ["sources", "Sources", sources], ["assumptions", "Assumptions", assumptions], ["whatif", "What if", whatif],
];
/** Tabs that are drawn again when news come; the others belong to the person who works with them. */
const FOLLOWING = new Set(["models", "gpus", "events", "sources", "assumptions"]);
let current = null;
let turn = 0;

const open = async (state, key) => {
  const [, , draw] = TABS.find(([found]) => found === key);
  current = key;
  state.redraw = null;
  for (const tab of byId("tabs").children) {
    const chosen = tab.dataset.tab === key;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
  const panel = byId("panel");
  panel.setAttribute("aria-labelledby", `tab-${key}`);
  const mine = turn += 1;
  if (!state.status) { show(panel, p("…")); return; }
  const holder = el("div");
  const place = FOLLOWING.has(key) && panel.dataset.tab === key ? holder : (show(panel, holder), holder);
  panel.dataset.tab = key;
  try {
    const content = await draw(state, place);
    if (mine !== turn) return;
    if (content !== null) show(panel, content);
  } catch (error) {
    if (mine === turn) show(panel, teach("This cannot be shown now", p(clean(error.message))));
  }
};

export const buildTabs = (state) => {
  const chosen = () => TABS.some(([key]) => `#${key}` === location.hash) ? location.hash.slice(1) : null;
  const choose = (key, focused) => {
    history_.replaceState(null, "", `#${key}`);
    open(state, key);
    if (focused) byId(`tab-${key}`).focus();
  };
  const history_ = globalThis.history;
  show("tabs", TABS.map(([key, label]) => el("button", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": "panel", "data-tab": key, onclick: () => choose(key, false) }, label)));
  byId("tabs").addEventListener("keydown", (event) => {
    const index = TABS.findIndex(([key]) => key === current);
    const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(TABS[(next + TABS.length) % TABS.length][0], true);
  });
  addEventListener("hashchange", () => { if (chosen() && chosen() !== current) open(state, chosen()); });
  open(state, chosen() ?? "models");
};

// News: what only shows is drawn again, what somebody works with is left alone unless it could not be drawn yet.
export const refreshTabs = (state) => {
  if (current === null) return;
  const panel = byId("panel");
  if (panel.querySelector(".teach") || panel.textContent === "…" || (FOLLOWING.has(current) && !panel.contains(document.activeElement))) open(state, current);
};
export const redrawTabs = (state) => state.redraw?.();
