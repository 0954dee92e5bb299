// Panels over time, as SVG.
import { PALETTE, color, format } from './units.js';

const AXIS = 58;
const FOOT = 16;
const escape = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

const SPANS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

function niceTicks(highest, unit) {
  const raw = (highest || 1) / 4;
  const span = unit === 's' && SPANS.find((each) => each >= raw);
  if (span && raw > 0.5) return Array.from({ length: Math.max(2, Math.ceil(highest / span) + 1) }, (_, place) => place * span);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= raw);
  return Array.from({ length: Math.max(2, Math.ceil(highest / step) + 1) }, (_, place) => place * step);
}

const DECADES = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 86400, 864000, 8640000];

// Ticks of a logarithmic axis of seconds, the first below all and the last above.
function powers(lowest, highest) {
  const first = Math.max(0, DECADES.findLastIndex((each) => each <= lowest));
  const last = DECADES.findIndex((each) => each >= highest);
  return DECADES.slice(first, Math.max(first + 2, (last < 0 ? DECADES.length : last) + 1));
}

function timeAxis(view, x, height) {
  const span = view.to - view.from;
  const step = [60, 300, 600, 900, 1800, 3600, 7200, 21600].find((each) => span / each <= 7) ?? 86400;
  let out = '';
  for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
    const text = new Date(at * 1000).toISOString().slice(11, 16);
    out += `<line x1="${x(at)}" x2="${x(at)}" y1="0" y2="${height}" stroke="#23262b"/>`
      + `<text x="${x(at)}" y="${height + 12}" text-anchor="middle">${text}</text>`;
  }
  return out;
}

function overridesOf(panel, name) {
  const found = {};
  for (const { matcher, properties } of panel.fieldConfig.overrides) {
    const fits = matcher.id === 'byName' ? matcher.options === name
      : matcher.id === 'byRegexp' && new RegExp(matcher.options.slice(1, -1)).test(name);
    if (fits) for (const { id, value } of properties) found[id] = value;
  }
  return found;
}

function stylesOf(panel, series) {
  return series.map((each, place) => {
    const own = overridesOf(panel, each.name);
    return {
      ...each,
      color: color(own.color?.fixedColor ?? PALETTE[place % PALETTE.length]),
      dash: own['custom.lineStyle'] ? own['custom.lineStyle'].dash.map((n) => n / 2).join(' ') : '',
      alone: own['custom.stacking']?.mode === 'none',
    };
  });
}

// Points become pieces: where samples are missing nothing is drawn.
function pieces(points, step) {
  const out = [];
  let last = -Infinity;
  for (const point of points) {
    if (point[0] - last > 1.5 * step || !out.length) out.push([]);
    out.at(-1).push(point);
    [last] = point;
  }
  return out;
}

function stackUp(series, stacked) {
  const below = new Map();
  return series.map((each) => ({
    ...each,
    points: each.points.map(([at, value]) => {
      const base = stacked && !each.alone ? below.get(at) ?? 0 : 0;
      if (stacked && !each.alone) below.set(at, base + value);
      return [at, base + value, base];
    }),
  }));
}

function drawn(one, panel, view, x, y) {
  const custom = panel.fieldConfig.defaults.custom ?? {};
  if (custom.drawStyle === 'bars') {
    const width = Math.max(1.5, (x(view.from + panel.step) - x(view.from)) * 0.8);
    // A 0 is a value, too: it is drawn as a thin line.
    return one.points.map(([at, top, base]) =>
      `<rect x="${x(at) - width / 2}" y="${y(top)}" width="${width}" height="${Math.max(0.5, y(base) - y(top))}" fill="${one.color}"/>`).join('');
  }
  return pieces(one.points, panel.step).map((piece) => {
    const line = piece.map(([at, top]) => `${x(at).toFixed(1)},${y(top).toFixed(1)}`).join(' ');
    const back = [...piece].reverse().map(([at, , base]) => `${x(at).toFixed(1)},${y(base).toFixed(1)}`).join(' ');
    const opacity = one.dash ? 0 : (custom.fillOpacity ?? 0) / 100;
    const dot = piece.length === 1 ? `<circle cx="${x(piece[0][0])}" cy="${y(piece[0][1])}" r="2" fill="${one.color}"/>` : '';
    return `${dot}<polygon points="${line} ${back}" fill="${one.color}" fill-opacity="${opacity}"/>`
      + `<polyline points="${line}" fill="none" stroke="${one.color}" stroke-width="1.4" stroke-dasharray="${one.dash}"/>`;
  }).join('');
}

const legend = (series) => `<div class="legend">${series.map((each) =>
  `<span><i style="background:${each.color}"></i>${escape(each.name)}</span>`).join('')}</div>`;

export function timeseries(panel, series, view, width, height) {
  const custom = panel.fieldConfig.defaults.custom ?? {};
  const unit = panel.fieldConfig.defaults.unit;
  const all = stackUp(stylesOf(panel, series), custom.stacking?.mode === 'normal');
  const foot = all.length > 5 ? 30 : 16;
  const inner = height - FOOT - foot;
  const highest = Math.max(0, ...all.flatMap((each) => each.points.map(([, top]) => top)));
  const isLog = custom.scaleDistribution?.type === 'log';
  const lowest = Math.min(...all.flatMap((each) => each.points.map(([, top]) => top)).filter((top) => top > 0));
  const ticks = isLog ? powers(lowest, highest) : niceTicks(highest, unit);
  const x = (at) => AXIS + Math.max(0, (at - view.from) / (view.to - view.from)) * (width - AXIS - 8);
  const share = isLog
    ? (value) => Math.max(0, Math.log(Math.max(value, ticks[0]) / ticks[0]) / Math.log(ticks.at(-1) / ticks[0]))
    : (value) => value / ticks.at(-1);
  const y = (value) => 6 + (1 - share(value)) * (inner - 6);
  const grid = ticks.map((tick) => `<line x1="${AXIS}" x2="${width - 8}" y1="${y(tick)}" y2="${y(tick)}" stroke="#23262b"/>`
    + `<text x="${AXIS - 5}" y="${y(tick) + 3}" text-anchor="end">${format(tick, unit)}</text>`).join('');
  return `<svg height="${inner + FOOT}" viewBox="0 0 ${width} ${inner + FOOT}">${timeAxis(view, x, inner)}${grid}`
    + `${all.map((each) => drawn(each, panel, view, x, y)).join('')}${explained(view, x, inner)}${instances(panel, view, x, inner)}</svg>${legend(all)}`;
}

// What explains a step: when exporters began, hubs were met or replaced.
function explained(view, x, height) {
  return view.annotations.flatMap(({ name, color: hue, moments }) => moments.map((at) =>
    `<line class="annotation" x1="${x(at)}" x2="${x(at)}" y1="0" y2="${height}" stroke="${color(hue)}" stroke-dasharray="3 3"><title>${escape(name)}</title></line>`)).join('');
}

// Exemplars, each with a link to the page of its instance.
function instances(panel, view, x, height) {
  return panel.results.flatMap(({ exemplars }) => exemplars.map(({ at, labels }) => {
    const page = `${view.variables.exporter_url}/hubs/${encodeURIComponent(labels.task_hub)}/instances/${encodeURIComponent(labels.instance_id)}`;
    return `<a class="exemplar" href="${escape(page)}"><circle cx="${x(at)}" cy="${height - 4}" r="3" fill="${color('blue')}"><title>${escape(labels.instance_id)}</title></circle></a>`;
  })).join('');
}

export function heatmap(panel, series, view, width, height) {
  const bounds = series.map((each) => ({ bound: Number(each.labels.le.replace('+Inf', 'Infinity')), points: new Map(each.points) }))
    .sort((one, other) => one.bound - other.bound);
  const inner = height - FOOT;
  const x = (at) => AXIS + Math.max(0, (at - view.from) / (view.to - view.from)) * (width - AXIS - 8);
  const row = (inner - 6) / bounds.length;
  const cells = [];
  bounds.forEach(({ points }, place) => points.forEach((value, at) => {
    const within = value - (place ? bounds[place - 1].points.get(at) ?? 0 : 0);
    if (within > 1e-9) cells.push({ at, place, within });
  }));
  if (!cells.length) return '';
  const most = Math.max(...cells.map((cell) => cell.within));
  const wide = Math.max(1, x(view.from + panel.step) - x(view.from));
  const marks = bounds.map(({ bound }, place) => `<text x="${AXIS - 5}" y="${inner - place * row - row / 2 + 3}" text-anchor="end">${bound === Infinity ? 'more' : `≤ ${format(bound, 's')}`}</text>`).join('');
  return `<svg height="${height}" viewBox="0 0 ${width} ${height}">${timeAxis(view, x, inner)}${row > 9 ? marks : ''}`
    + cells.map(({ at, place, within }) => `<rect x="${Math.max(AXIS, x(at) - wide + 0.5)}" y="${inner - (place + 1) * row + 0.5}" width="${Math.max(0.6, wide - 0.7)}" height="${row - 1}" fill="#FF9830" fill-opacity="${0.15 + 0.85 * Math.sqrt(within / most)}"/>`).join('')
    + '</svg>';
}

export function timeline(panel, series, view, width, height) {
  const states = panel.fieldConfig.defaults.mappings[0].options;
  const inner = height - FOOT - 16;
  const row = Math.min(34, inner / series.length);
  const side = 110;
  const x = (at) => side + ((at - view.from) / (view.to - view.from)) * (width - side - 8);
  const bands = series.map((each, place) => each.points.map(([at, value]) =>
    `<rect x="${x(at)}" y="${place * row + 2}" width="${x(view.from + panel.step) - x(view.from) + 0.6}" height="${row - 5}" fill="${color(states[value]?.color ?? 'text')}" fill-opacity="0.8"/>`).join('')
    + `<text x="${side - 6}" y="${place * row + row / 2 + 3}" text-anchor="end">${escape(each.name)}</text>`).join('');
  const keys = Object.values(states).map((state) => ({ name: state.text, color: color(state.color) }));
  return `<svg height="${inner + FOOT}" viewBox="0 0 ${width} ${inner + FOOT}">${timeAxis(view, x, inner)}${bands}</svg>${legend(keys)}`;
}
