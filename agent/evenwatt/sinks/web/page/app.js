// The page: asks the agent, listens to its ticks, and survives its restarts.

import { Refused, ask, listen } from "./data.js";
import { byId, clean, p, show, teach } from "./dom.js";
import { WINDOWS, clockTime } from "./format.js";
import { showFigures, showVerdict } from "./verdict.js";

const REPORT_SECONDS = 60;
const SOON_SECONDS = 15; // while the curve cannot be drawn yet, as after a first start
const STATUS_SECONDS = 30;
const state = { window: "7d", reports: {}, status: null, live: null, zone: undefined, currency: "USD", whatif: null };
// Fetched when the verdict stands, as it needs none of them.
let overview = null;
let live = null;
let tabs = null;

const say = (kind, words) => {
  const line = byId("connection");
  line.dataset.state = kind;
  line.textContent = words;
};

const waiting = (error) => {
  const first = error instanceof Refused && (error.status === 404 || error.status === 503);
  show("told", first ? clean(error.message) : "The agent does not answer. Is it running? This page goes on by itself as soon as it is back.");
};

const takeReport = async (window) => {
  try {
    const report = await ask("report", { window });
    state.reports[window] = report;
    state.zone = report.head.window.zone_name;
    state.currency = report.head.currency;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    state.reports[window] ??= null;
    if (window === state.window) waiting(error);
  }
  showFigures(state.live, state.reports);
};

const draw = async () => {
  const report = state.reports[state.window];
  if (report) showVerdict(report);
  overview ??= await import("./overview.js");
  if (report) {
    overview.showCurve(report);
  } else {
    show("curve", teach("Nothing to draw yet", p("The curve comes with the first minutes of metering.")));
    show("days", teach("No day yet", p("The first bar comes with the first minutes of metering.")));
  }
};

// Not by the first report: the longest one that there is has the most days.
const drawDays = () => {
  const report = state.reports["30d"] ?? state.reports[state.window];
  if (report) overview.showDays(report);
};

const takeStatus = async () => {
  state.status = await ask("status");
  document.querySelector(".simulated").hidden = !state.status.simulated;
  show("colophon", `evenwatt ${clean(state.status.version)} · `, ...links);
};
const links = [...byId("colophon").querySelectorAll("a")].flatMap((link, index) => (index ? [" · ", link] : [link]));

const takeMoment = async () => {
  live ??= await import("./live.js");
  const document_ = await ask("live");
  live.takeLive(document_);
  tick(document_);
};

const tick = (event) => {
  state.live = event;
  say("live", `live · ${clockTime(event.utc_seconds, state.zone)}`);
  showFigures(event, state.reports);
  live?.showLive(event, state.zone);
};

const openTabs = async () => {
  if (tabs) return;
  tabs = await import("./tabs.js");
  tabs.buildTabs(state);
};

let busy = false;
const refresh = async () => {
  if (busy) return;
  busy = true;
  try {
    await Promise.all([takeReport(state.window).then(draw), takeStatus()]);
    overview.showTaught(state.status, state.reports[state.window]);
    await takeMoment();
    await openTabs();
    for (const window of Object.keys(WINDOWS)) if (window !== state.window) await takeReport(window);
    drawDays();
    tabs.refreshTabs(state);
  } catch (error) {
    waiting(error);
  } finally {
    busy = false;
  }
};

let lost = false;
const connected = (kind) => {
  if (kind === "lost") {
    lost = true;
    say("lost", "not connected; trying again …");
  } else if (lost) {
    lost = false;
    refresh();
  }
};

await refresh();
listen((event) => { if (state.status === null) refresh(); tick(event); }, connected);
const follow = () => {
  const seconds = state.reports[state.window]?.curve ? REPORT_SECONDS : SOON_SECONDS;
  setTimeout(() => { if (!document.hidden) refresh(); follow(); }, seconds * 1000);
};
follow();
setInterval(() => { if (!document.hidden) takeStatus().then(() => tabs?.refreshTabs(state)).catch(() => {}); }, STATUS_SECONDS * 1000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
const again = () => { live?.redrawLive(state.zone); tabs?.redrawTabs(state); };
document.addEventListener("evenwatt-theme", again);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
new ResizeObserver(again).observe(byId("live-power"));
