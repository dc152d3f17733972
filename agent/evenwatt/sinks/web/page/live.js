// The moment: power and tokens, tick by tick. It comes after the verdict, as its charts take a library.

import { behind, byId, clean, show, table } from "./dom.js";
import { compact, moment, money, number, watts } from "./format.js";
import { linesChart } from "./lines.js";

const points = { utc_seconds: [], power_watts: [], tokens_per_second: [] };
const plots = {};

export const takeLive = (document_) => {
  for (const key of Object.keys(points)) points[key] = [...document_.points[key]];
};

export const showLive = (event, zone) => {
  const last = points.utc_seconds.at(-1);
  if (last === undefined || event.utc_seconds > last) {
    points.utc_seconds.push(event.utc_seconds);
    points.power_watts.push(event.power_watts);
    points.tokens_per_second.push(event.tokens_per_second?.total ?? null);
    while (points.utc_seconds[0] < event.utc_seconds - 1_800) for (const key of Object.keys(points)) points[key].shift();
  }
  show("live-watts", watts(event.power_watts));
  show("live-rate", event.tokens_per_second ? `${compact(event.tokens_per_second.total)} per second` : "–");
  const rates = event.tokens_per_second;
  const parts = rates ? [`${compact(rates.input)} input`, rates.cached_input === null ? null : `${compact(rates.cached_input)} cached`, `${compact(rates.output)} output`].filter(Boolean).join(", ") : "";
  const running = event.requests_running === null ? "" : ` ${number(event.requests_running)} ${event.requests_running === 1 ? "request runs" : "requests run"}${event.requests_waiting ? `, ${number(event.requests_waiting)} wait` : ""}.`;
  const cost = event.cost_per_hour === null ? "" : ` The machine costs ${money(event.cost_per_hour, event.currency)} an hour.`;
  const down = event.sources_down.length ? ` Down: ${event.sources_down.map((source) => clean(source).slice(0, 60)).join(", ")}.` : "";
  show("live-told", `${rates ? `Tokens per second: ${parts}.` : "Rates come with the next tick."}${running}${cost}${down}`);
  drawLive(zone);
};

const drawLive = (zone) => {
  const spark = (id, values, colour, text) => {
    const target = byId(id);
    if (target.clientWidth === 0) return;
    const columns = [points.utc_seconds, values];
    if (plots[id]?.width === target.clientWidth && !plots[id].old) { plots[id].plot.setData(columns); return; }
    plots[id]?.plot.destroy();
    target.replaceChildren();
    plots[id] = { width: target.clientWidth, plot: linesChart(target, { width: target.clientWidth, height: 130, columns, series: [{ label: id, colour, fill: true }], text, zone, isSpark: true }) };
  };
  spark("live-power", points.power_watts, "--energy", watts);
  spark("live-tokens", points.tokens_per_second, "--own", compact);
  const picked = points.utc_seconds.map((_, index) => index).filter((index) => index % Math.ceil(points.utc_seconds.length / 30) === 0);
  if (document.querySelector("#live-table details")?.open || !byId("live-table").firstChild) {
    behind("live-table", "The numbers behind both", table("Power and tokens of the last half hour", [{ title: "time", text: true }, { title: "power" }, { title: "tokens per second" }],
      picked.map((index) => [moment(points.utc_seconds[index], zone), watts(points.power_watts[index]), compact(points.tokens_per_second[index])])));
    document.querySelector("#live-table details").addEventListener("toggle", (toggled) => { if (toggled.target.open) drawLive(zone); }, { once: true });
  }
};

export const redrawLive = (zone) => {
  for (const item of Object.values(plots)) item.old = true;
  drawLive(zone);
};
