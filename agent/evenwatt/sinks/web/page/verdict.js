// What the page says first: the verdict and the four costs. All else is fetched once it stands.

import { byId, clean, el, name, show } from "./dom.js";
import { COMPONENTS, COMPONENT_NAMES, WINDOWS, compact, duration, money, perMtok, percent } from "./format.js";

const CHOSEN = "evenwatt-reference";
const remembered = () => { try { return localStorage.getItem(CHOSEN); } catch { return null; } };
const remember = (value) => { try { localStorage.setItem(CHOSEN, value); } catch { /* until the page is closed */ } };

export const PRICES = /^(electricity|hardware)/;
const load = (report) => {
  const upper = report.curve?.is_load_upper_bound ? "at most " : "";
  return report.load_ratio === null ? "" : ` at ${upper}${percent(report.load_ratio)} load`;
};

const chosenOf = (report) => {
  const priced = report.comparisons.filter((item) => item.price_per_mtok !== null);
  return priced.find((item) => item.reference === remembered()) ?? priced[0] ?? null;
};

// --- the verdict ----------------------------------------------------------------------------------------------

export const missing = (costs) => COMPONENTS.filter((part) => costs[part] === null).map((part) => COMPONENT_NAMES[part]);

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
