// Draws dashboard.json beside this page as Grafana would: its own processing of fields and its own components, over
// the answers of a real Prometheus. Options are in the address: prometheus, end, seconds, theme, and a value for each
// variable. Kinds of panels that are not in Grafana's packages (state timeline) are drawn here, plainly.
import 'uplot/dist/uPlot.min.css';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import {
  FieldConfigOptionsRegistry, FieldType, applyFieldOverrides, createTheme, dateTime, getFieldDisplayName,
  getFieldDisplayValues, standardEditorsRegistry, standardFieldConfigEditorRegistry, standardTransformers,
  standardTransformersRegistry, toDataFrame, transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, Table, ThemeContext, TimeSeries, VizRepeater } from '@grafana/ui';

const asked = new URLSearchParams(location.search);
const prometheus = asked.get('prometheus');
const end = Number(asked.get('end'));
const seconds = Number(asked.get('seconds'));
const start = end - seconds;
const step = Math.max(15, Math.floor(seconds / 300));
const theme = createTheme({ colors: { mode: asked.get('theme') || 'light' } });
const timeRange = { from: dateTime(start * 1000), to: dateTime(end * 1000) };
timeRange.raw = { from: timeRange.from, to: timeRange.to };

const PROPERTIES = [
  'color', 'decimals', 'displayName', 'links', 'mappings', 'max', 'min', 'noValue', 'thresholds', 'unit',
].map((id) => ({ id }));
const CUSTOM = [
  'align', 'cellOptions', 'drawStyle', 'fillOpacity', 'lineInterpolation', 'lineStyle', 'lineWidth', 'minWidth', 'pointSize',
  'scaleDistribution', 'showPoints', 'spanNulls', 'stacking', 'width',
].map((id) => ({ id: `custom.${id}`, isCustom: true }));
const properties = () => [...PROPERTIES, ...CUSTOM].map(({ id, isCustom }) => ({
  id, isCustom, name: id, path: isCustom ? id.slice('custom.'.length) : id,
  getItemsCount: () => 0, process: (value) => value, shouldApply: () => true,
}));
standardFieldConfigEditorRegistry.setInit(properties);
standardEditorsRegistry.setInit(() => []);
const transformers = new Map(Object.values(standardTransformers).map((one) => [one.id, one]));
standardTransformersRegistry.setInit(() => [...transformers.values()].map(
  (one) => ({ id: one.id, name: one.name, transformation: async () => one }),
));

const values = { __range: `${seconds}s`, __rate_interval: `${Math.max(step, 240) * 4}s`, ...Object.fromEntries(asked) };
const filled = (text) => (text ?? '').replace(/\$\{?([A-Za-z_]\w*)\}?/g, (_, name) => values[name] ?? '.*');
const named = (legend, labels) => filled(legend).replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => labels[name] ?? '');

async function frames(target) {
  const query = filled(target.expr);
  const [path, when] = target.instant ? ['query', { time: end }] : ['query_range', { end, start, step }];
  const answer = await (await fetch(`${prometheus}/api/v1/${path}`, {
    body: new URLSearchParams({ query, ...when }), method: 'POST',
  })).json();
  if (answer.status !== 'success') throw new Error(`${answer.error}: ${query}`);
  const series = answer.data.result;
  if (target.format === 'table') return series.length ? [table(target.refId, series)] : [];
  return series.map((one) => {
    const points = one.values ?? [one.value];
    return toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: points.map(([at]) => at * 1000) },
        {
          name: 'Value', type: FieldType.number, labels: one.metric, values: points.map(([, value]) => Number(value)),
          config: { displayNameFromDS: named(target.legendFormat, one.metric) },
        },
      ],
    });
  });
}

function table(refId, series) {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].filter((name) => name !== '__name__');
  return toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: series.map((one) => one.value[0] * 1000) },
      ...labels.map((name) => ({ name, type: FieldType.string, values: series.map((one) => one.metric[name]) })),
      { name: 'Value', type: FieldType.number, values: series.map((one) => Number(one.value[1])) },
    ],
  });
}

async function data(panel) {
  let found = (await Promise.all(panel.targets.map(frames))).flat();
  const tables = panel.targets.filter((target) => target.format === 'table');
  if (tables.length > 1) {
    found.forEach((frame) => { frame.fields.at(-1).name = `Value #${frame.refId}`; });
  }
  const steps = panel.transformations ?? [];
  if (steps.length) found = await lastValueFrom(transformDataFrame(steps, found));
  if (panel.type === 'table' && panel.options.sortBy && found.length) {
    const [{ displayName }] = panel.options.sortBy;
    const sort = { id: 'sortBy', options: { fields: {}, sort: [{ field: displayName, desc: true }] } };
    found = await lastValueFrom(transformDataFrame([sort], found));
  }
  return applyFieldOverrides({
    data: found, fieldConfig: panel.fieldConfig, fieldConfigRegistry: new FieldConfigOptionsRegistry(properties),
    replaceVariables: filled, theme, timeZone: 'utc',
  });
}

// What a panel has that says nothing of it.
function withDefaults(panel) {
  const config = panel.fieldConfig ?? {};
  const defaults = {
    color: { mode: panel.type === 'timeseries' || panel.type === 'trend' ? 'palette-classic' : 'thresholds' },
    thresholds: { mode: 'absolute', steps: [{ color: 'green', value: null }] }, ...config.defaults,
  };
  return { ...panel, fieldConfig: { ...config, defaults, overrides: config.overrides ?? [] }, options: panel.options ?? {} };
}

const LEGEND = { calcs: [], displayMode: 'list', placement: 'bottom', showLegend: true };

function Lines({ found, panel, width, height }) {
  const more = panel.type === 'trend' ? { preparePlotFrame: ([frame]) => withOrigins(frame) } : {};
  return <TimeSeries frames={found} legend={LEGEND} options={{}} structureRev={1} timeRange={timeRange} timeZone="utc" width={width} height={height} {...more} />;
}

// As Grafana's trend panel does: the legend finds a field by where it comes from.
function withOrigins(frame) {
  return { ...frame, fields: frame.fields.map((field, fieldIndex) => ({
    ...field, state: { ...field.state, origin: { fieldIndex, frameIndex: 0 } },
  })) };
}

function Figures({ found, panel, width, height }) {
  const shown = getFieldDisplayValues({
    data: found, fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions, replaceVariables: filled, theme, timeZone: 'utc',
  });
  const one = ({ value, width: w, height: h, count }) => (panel.type === 'stat'
    ? <BigValue value={value.display} colorMode={panel.options.colorMode} count={count} graphMode="none" text={panel.options.text} textMode="auto" theme={theme} width={w} height={h} />
    : <BarGauge display={value.view?.getFieldDisplayProcessor?.(value.colIndex)} displayMode={panel.options.displayMode} field={value.field} namePlacement={panel.options.namePlacement} orientation="horizontal" text={panel.options.text} theme={theme} value={value.display} width={w} height={h} />);
  return <VizRepeater getValues={() => shown} height={height} itemSpacing={6} orientation={panel.type === 'stat' ? 'auto' : 'horizontal'} renderCounter={0} renderValue={one} source={found} width={width} />;
}

function States({ found, panel, width, height }) {
  const name = 170, row = Math.min(height / found.length, 40);
  return <svg width={width} height={height} fontFamily="Inter, sans-serif" fontSize="12" fill={theme.colors.text.primary}>
    {found.map((frame, number) => {
      const [time, field] = frame.fields;
      const scale = (at) => name + ((at / 1000 - start) / seconds) * (width - name);
      return <g key={number}>
        <text x={name - 8} y={(number + 0.6) * row} textAnchor="end">{getFieldDisplayName(field, frame).slice(0, 28)}</text>
        {time.values.map((at, index) => <rect key={at} x={scale(at)} y={(number + 0.1) * row} width={Math.max(scale(at + step * 1000) - scale(at), 0)} height={row * 0.8} fill={field.display(field.values[index]).color} />)}
      </g>;
    })}
  </svg>;
}

const KINDS = { bargauge: Figures, stat: Figures, 'state-timeline': States, timeseries: Lines, trend: Lines };

function Shown({ found, panel, width, height }) {
  if (!found.length) return <p style={{ color: theme.colors.text.secondary, padding: 8 }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</p>;
  if (panel.type === 'table') return <Table data={found[0]} width={width} height={height} />;
  const Kind = KINDS[panel.type];
  return <Kind found={found} panel={panel} width={width} height={height} />;
}

const COLUMN = 1440 / 24, ROW = 38;

function Placed({ panel, found, error }) {
  const { x, y, w, h } = panel.gridPos;
  const place = { left: x * COLUMN, padding: 4, position: 'absolute', top: y * ROW };
  if (panel.type === 'row') return <div style={{ ...place, color: theme.colors.text.primary, fontWeight: 500, top: y * ROW + 6 }}>{filled(panel.title)}</div>;
  return <div style={place}>
    <PanelChrome title={filled(panel.title)} description={panel.description} width={w * COLUMN - 8} height={h * ROW - 8}>
      {(width, height) => (error ? <b style={{ color: 'red' }}>{error}</b> : <Shown found={found} panel={panel} width={width} height={height} />)}
    </PanelChrome>
  </div>;
}

function App() {
  const [drawn, draw] = React.useState(null);
  React.useEffect(() => {
    (async () => {
      const page = await (await fetch('./dashboard.json')).json();
      draw({ page, panels: await Promise.all(page.panels.map(withDefaults).map(async (panel) => {
        if (panel.type === 'row') return { panel };
        try { return { panel, found: await data(panel) }; } catch (error) { return { panel, found: [], error: String(error) }; }
      })) });
    })();
  }, []);
  React.useEffect(() => { if (drawn) setTimeout(() => { document.title = 'ready'; }, 1500); }, [drawn]);
  if (!drawn) return null;
  const height = Math.max(...drawn.panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h)) * ROW;
  return <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <div id="page" style={{ background: theme.colors.background.canvas, height: height + 48, width: 1440 }}>
      <h3 style={{ color: theme.colors.text.primary, margin: 0, padding: 10 }}>{drawn.page.title}</h3>
      <div style={{ position: 'relative' }}>{drawn.panels.map((one) => <Placed key={one.panel.id} {...one} />)}</div>
    </div>
  </ThemeContext.Provider>;
}

createRoot(document.getElementById('root')).render(<App />);
