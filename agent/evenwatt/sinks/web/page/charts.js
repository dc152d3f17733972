// Pictures of a few marks, as SVG: the signature curve, money per day, the week.

import { clean, el, shortened, svg } from "./dom.js";
import { costPerMtokAtLoad } from "./economics.js";
import { COMPONENTS, COMPONENT_NAMES, day, money, moneyTick, perMtok, percent, weekdays } from "./format.js";

const finite = (value) => typeof value === "number" && Number.isFinite(value);

// --- axes -----------------------------------------------------------------------------------------------------

const logTicks = (least, most) => {
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let decade = Math.floor(Math.log10(least)); decade <= Math.ceil(Math.log10(most)); decade += 1) {
      for (const step of steps) {
        const value = step * 10 ** decade;
        if (value >= least * (1 - 1e-9) && value <= most * (1 + 1e-9)) ticks.push(value);
      }
    }
    if (ticks.length <= 7) return ticks;
  }
  return [];
};

const evenTicks = (most, count = 4) => {
  const rough = (most || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((value) => value >= rough * (1 - 1e-9));
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step);
};

const apart = (places, distance, least) => {
  // Labels that are too near to each other are pushed down, from the top on; and back up from the bottom.
  const order = places.map((place, index) => [place, index]).sort((one, other) => one[0] - other[0]);
  let last = -Infinity;
  for (const item of order) { item[0] = Math.max(item[0], last + distance); last = item[0]; }
  let lowest = least;
  for (const item of [...order].reverse()) { item[0] = Math.min(item[0], lowest); lowest = item[0] - distance; }
  const result = [];
  for (const [place, index] of order) result[index] = place;
  return result;
};

// --- the signature curve --------------------------------------------------------------------------------------

// line: what our own tokens cost; observed: {load_ratio, cost_per_mtok}; prices: [{name, price, even}].
export const curveChart = (width, { line, observed, prices, currency, before = null, label = "now" }) => {
  const small = width < 560;
  const height = small ? 330 : 400;
  const left = small ? 52 : 64;
  const right = small ? 10 : 16;
  const top = 14;
  const bottom = height - 42;
  const shown = [...prices.map((item) => item.price), observed.cost_per_mtok].filter((value) => value > 0);
  const full = costPerMtokAtLoad(line, 1);
  const least = Math.min(full, ...shown) / 1.5;
  const most = Math.min(Math.max(...shown, full * 10) * 1.6, Math.max(least * 2_000, Math.max(...shown) * 1.6));
  const mostLoad = Math.max(1, Math.ceil((observed.load_ratio ?? 0) * 10) / 10);
  const x = (load) => left + (Math.min(load, mostLoad) / mostLoad) * (width - left - right);
  const y = (cost) => bottom - (Math.log(Math.min(Math.max(cost, least), most) / least) / Math.log(most / least)) * (bottom - top);
  const path = (own) => {
    const margin = most * own.mtok_per_hour - own.load_cost_per_hour;
    const first = margin > 0 ? Math.min(Math.max(own.fixed_cost_per_hour / margin, 1e-4), mostLoad) : 1e-4;
    const growth = (mostLoad / first) ** (1 / 90);
    return Array.from({ length: 91 }, (_, index) => {
      const load = first * growth ** index;
      return `${index ? "L" : "M"}${x(load).toFixed(1)} ${y(costPerMtokAtLoad(own, load)).toFixed(1)}`;
    }).join("");
  };
  const picture = svg("svg", { class: "plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Cost per million tokens against load; at ${percent(observed.load_ratio, 1)} load it is ${perMtok(observed.cost_per_mtok, currency)}. The table below has all numbers.` });
  for (const tick of logTicks(least, most)) {
    picture.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "end", x: left - 8, y: y(tick) + 4 }, perMtok(tick, currency)));
  }
  for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    picture.append(svg("text", { class: tick === 1 && mostLoad === 1 ? "end" : "middle", x: x(tick), y: bottom + 18 }, percent(tick)));
  }
  picture.append(svg("line", { class: "base", x1: left, x2: width - right, y1: bottom, y2: bottom }),
    svg("text", { class: "end", x: width - right, y: bottom + 36 }, "token load"));
  const places = apart(prices.map((item) => y(item.price) - 6), 15, bottom - 4);
  prices.forEach((item) => {
    picture.append(svg("line", { class: `price api-${item.number % 5}`, x1: left, x2: width - right, y1: y(item.price), y2: y(item.price) }));
  });
  if (before) picture.append(svg("path", { class: "own-line before", d: path(before) }));
  picture.append(svg("path", { class: "own-line", d: path(line) }));
  prices.forEach((item, index) => {
    const text = `${shortened(item.name, small ? 22 : 40)} ${perMtok(item.price, currency)}${item.even === Infinity ? " · never even" : ""}`;
    picture.append(svg("text", { class: `halo end api-${item.number % 5}`, x: width - right, y: places[index] }, text));
    if (finite(item.even) && item.even <= mostLoad) {
      picture.append(svg("circle", { class: `mark api-${item.number % 5}`, cx: x(item.even), cy: y(item.price), r: 5 },
        svg("title", {}, `even with ${clean(item.name).slice(0, 80)} from ${percent(item.even, 1)} load`)));
      if (prices.length <= 5) {
        picture.append(svg("text", { class: `halo middle strong api-${item.number % 5}`, x: Math.max(x(item.even), left + 18), y: y(item.price) + 19 }, percent(item.even)));
      }
    }
  });
  if (finite(observed.cost_per_mtok) && finite(observed.load_ratio)) {
    const at = [x(observed.load_ratio), y(observed.cost_per_mtok)];
    const toRight = at[0] < width * 0.6;
    picture.append(
      svg("line", { class: "drop", x1: at[0], x2: at[0], y1: at[1], y2: bottom }),
      svg("circle", { class: "own-dot", cx: at[0], cy: at[1], r: 7 }),
      svg("text", { class: `halo own-text${toRight ? "" : " end"}`, x: at[0] + (toRight ? 13 : -13), y: Math.max(at[1] - 9, top + 12) },
        `${label} ${perMtok(observed.cost_per_mtok, currency)} at ${percent(observed.load_ratio, 1)}`));
  }
  return picture;
};

// --- money per day --------------------------------------------------------------------------------------------

export const daysChart = (width, { days, currency }) => {
  const small = width < 560;
  const height = small ? 230 : 270;
  const top = 10;
  const bottom = height - 26;
  const sums = days.map((item) => COMPONENTS.reduce((sum, part) => sum + (item.costs[part] ?? 0), 0));
  const ticks = evenTicks(Math.max(...sums, 1e-9));
  const most = ticks.at(-1);
  const labels = ticks.map((tick) => moneyTick(tick, currency, most));
  const left = Math.max(small ? 52 : 64, 10 + 7.5 * Math.max(...labels.map((text) => text.length)));
  const step = (width - left) / days.length;
  const bar = Math.min(step * 0.72, 46);
  const y = (value) => bottom - (value / most) * (bottom - top);
  const picture = svg("svg", { class: "plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Cost per day by component over ${days.length} days. The table below has all numbers.` });
  picture.append(svg("defs", {}, svg("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    svg("line", { class: "hatch-line", x1: 0, x2: 0, y1: 0, y2: 5 }))));
  ticks.forEach((tick, index) => picture.append(
    svg("line", { class: "grid", x1: left, x2: width, y1: y(tick), y2: y(tick) }),
    svg("text", { class: "end", x: left - 8, y: y(tick) + 4 }, labels[index])));
  const every = Math.ceil(days.length / Math.max(Math.floor((width - left) / 62), 1));
  days.forEach((item, index) => {
    const begin = left + index * step + (step - bar) / 2;
    let at = 0;
    const group = svg("g", {}, svg("title", {}, `${day(item.date)}: ${money(item.costs.full, currency)}, idle ${money(item.idle_cost, currency)}`));
    for (const part of COMPONENTS) {
      const cost = item.costs[part];
      if (!cost) continue;
      group.append(svg("rect", { class: part, x: begin, width: bar, y: y(at + cost), height: Math.max(y(at) - y(at + cost), 0) }));
      at += cost;
    }
    if (item.idle_cost) group.append(svg("rect", { class: "hatched", x: begin, width: bar, y: y(item.idle_cost), height: y(0) - y(item.idle_cost) }));
    picture.append(group);
    if (index % every === 0) picture.append(svg("text", { class: "middle", x: begin + bar / 2, y: bottom + 17 }, day(item.date)));
  });
  picture.append(svg("line", { class: "base", x1: left, x2: width, y1: bottom, y2: bottom }));
  return picture;
};

export const daysLegend = (days) => {
  const parts = COMPONENTS.filter((part) => days.some((item) => item.costs[part]));
  const swatch = (kind) => svg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
    svg("rect", { class: kind === "idle" ? "hardware" : kind, width: 10, height: 10 }),
    kind === "idle" ? svg("rect", { class: "hatched", width: 10, height: 10 }) : null);
  return el("ul", { class: "legend" }, [...parts, "idle"].map((kind) =>
    el("li", {}, swatch(kind), kind === "idle" ? "of it while no request ran" : COMPONENT_NAMES[kind])));
};

// --- the week -------------------------------------------------------------------------------------------------

export const weekChart = (width, { cells, value, text }) => {
  const left = width < 560 ? 34 : 44;
  const cell = (width - left) / 24;
  const high = Math.max(Math.min(cell, 30), 17);
  const height = 20 + 7 * high;
  const most = Math.max(...cells.map(value).filter(finite), 1e-12);
  const names = weekdays("short");
  const picture = svg("svg", { class: "plot", width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": "Hours of the week. The table below has all numbers." });
  for (let hour = 0; hour < 24; hour += width < 560 ? 6 : 3) {
    picture.append(svg("text", { x: left + hour * cell, y: 12 }, String(hour).padStart(2, "0")));
  }
  for (const item of cells) {
    const own = value(item);
    const place = { x: left + item.hour * cell + 0.75, y: 20 + item.weekday * high + 0.75, width: cell - 1.5, height: high - 1.5, rx: 2 };
    picture.append(svg("rect", { ...place, class: finite(own) ? "heat" : "nothing", "fill-opacity": finite(own) ? (0.06 + 0.94 * (own / most)).toFixed(3) : null },
      svg("title", {}, `${names[item.weekday]} ${item.hour}:00: ${finite(own) ? text(own) : "nothing known"}`)));
  }
  names.forEach((weekday, index) => picture.append(svg("text", { class: "end", x: left - 6, y: 20 + index * high + high / 2 + 4 }, weekday)));
  return picture;
};
