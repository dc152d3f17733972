// Lines over time, on a canvas by uPlot: thousands of points, zoomed without a stutter.

import { axisTime } from "./format.js";
import uPlot from "./vendor/uPlot.js";

// Its style is needed by no first paint, so it comes with the first chart.
const sheet = document.createElement("link");
sheet.rel = "stylesheet";
sheet.href = new URL("vendor/uPlot.css", import.meta.url).href;
document.head.append(sheet);

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = "12px system-ui, sans-serif";

const axis = (side, extra = {}) => ({
  stroke: style("--soft"), font: FONT, grid: { stroke: style("--rule"), width: 1 }, ticks: { show: false }, side, ...extra,
});

// columns: [utcSeconds, ...values]; series: [{label, colour (a CSS variable), fill, text}].
export const linesChart = (target, { width, height, columns, series, text, zone, onZoom = null, isSpark = false, step = false }) => {
  const options = {
    width, height,
    legend: { show: false },
    cursor: { y: false, drag: { x: Boolean(onZoom), y: false, setScale: false }, points: { size: 7 } },
    select: { show: Boolean(onZoom) },
    tzDate: (seconds) => {
      const date = new Date(seconds * 1000);
      try { return zone ? uPlot.tzDate(date, zone) : date; } catch { return date; }
    },
    scales: { x: { time: true }, y: { range: (_, least, most) => (least === null ? [null, null] : [Math.min(0, least), (most || 1) * 1.08]) } },
    axes: [
      axis(2, { size: 26, values: (_, ticks) => ticks.map((tick) => axisTime(tick, ticks.at(-1) - ticks[0], zone)), grid: { show: !isSpark, stroke: style("--rule"), width: 1 }, space: 70 }),
      axis(3, { size: width < 560 ? 54 : 66, values: (_, ticks) => ticks.map((tick) => text(tick, ticks.at(-1))), space: isSpark ? 34 : 44 }),
    ],
    series: [{}, ...series.map((item) => ({
      label: item.label, stroke: style(item.colour), width: 1.75, spanGaps: false, points: { show: false },
      fill: item.fill ? `${style(item.colour)}22` : null,
      ...(step ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
    }))],
    hooks: onZoom ? { setSelect: [(plot) => {
      const { left, width: chosen } = plot.select;
      if (chosen < 4) return;
      const from = plot.posToVal(left, "x");
      const to = plot.posToVal(left + chosen, "x");
      plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      onZoom(from, to);
    }] } : {},
  };
  return new uPlot(options, columns, target);
};
