// Draws one dashboard: ?dashboard=fleet, and seconds, at, and the values of variables.
import { heatmap, timeline, timeseries } from './charts.js';
import { color, format, stepColor } from './units.js';

const COLUMN = 1576 / 24;
const ROW = 34;
const escape = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

const named = (legend, labels) => legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '').replace(/ +/g, ' ').trim();

// All series of a panel, without points that are no numbers.
function seriesOf(panel) {
  return panel.results.flatMap(({ legend, series }) => series.map(({ labels, points }) => ({
    name: named(legend, labels),
    labels,
    points: points.map(([at, text]) => [at, Number(text)]).filter(([, value]) => Number.isFinite(value)),
  }))).filter(({ points }) => points.length);
}

function stat(panel, series) {
  const { unit, decimals, thresholds, mappings } = panel.fieldConfig.defaults;
  const filled = panel.options.colorMode === 'background';
  return `<div class="stats">${series.map(({ name, points }) => {
    const value = points.at(-1)[1];
    const state = mappings?.[0]?.options[value];
    const hue = state ? color(state.color) : stepColor(value, thresholds);
    const style = filled ? `background:${hue}cc` : 'color:#e4e4ee';
    const label = series.length > 1 || panel.options.textMode === 'value_and_name' ? `<small>${escape(name)}</small>` : '';
    return `<div class="stat ${filled ? 'filled' : ''}" style="${style}">${escape(state?.text ?? format(value, unit, decimals))}${label}</div>`;
  }).join('')}</div>`;
}

function bargauge(panel, series) {
  const { unit, decimals, thresholds } = panel.fieldConfig.defaults;
  const sorted = series.map((each) => ({ ...each, value: each.points.at(-1)[1] })).sort((one, other) => other.value - one.value);
  const most = Math.max(...sorted.map((each) => each.value)) || 1;
  return sorted.map(({ name, value }) => `<div class="bar"><span>${escape(name)}</span><span class="track">`
    + `<i style="width:${(100 * value) / most}%;background:${stepColor(value, thresholds)}"></i></span><span>${format(value, unit, decimals)}</span></div>`).join('');
}

// What `merge` and `organize` make of the queries: one row for each set of labels.
function rowsOf(panel) {
  const found = new Map();
  const alone = panel.results.length === 1;
  const shared = panel.results.map(({ series }) => Object.keys(series[0]?.labels ?? {})).filter((keys) => keys.length)
    .sort((one, other) => one.length - other.length)[0] ?? [];
  for (const { refId, series } of panel.results) {
    for (const { labels, points } of series) {
      const key = JSON.stringify(shared.map((label) => labels[label]));
      const value = Number(points.at(-1)[1]);
      found.set(key, { ...found.get(key), ...labels, [alone ? 'Value' : `Value #${refId}`]: value });
    }
  }
  return [...found.values()];
}

function table(panel) {
  const { excludeByName, indexByName, renameByName } = panel.transformations.find(({ id }) => id === 'organize').options;
  const columns = Object.keys(indexByName).filter((name) => !excludeByName[name]).sort((one, other) => indexByName[one] - indexByName[other]);
  const settings = Object.fromEntries(panel.fieldConfig.overrides.map(({ matcher, properties }) =>
    [matcher.options, Object.fromEntries(properties.map(({ id, value }) => [id, value]))]));
  const order = panel.options.sortBy.map(({ displayName, desc }) =>
    ({ by: columns.find((name) => renameByName[name] === displayName), sign: desc ? -1 : 1 }));
  const known = (value) => (typeof value === 'number' ? value : -1e12);
  const rows = rowsOf(panel).sort((one, other) =>
    order.reduce((before, { by, sign }) => before || sign * (known(one[by]) - known(other[by])), 0));
  if (!rows.length) return '';
  const cell = (row, name) => {
    const own = settings[renameByName[name]] ?? {};
    const value = row[name];
    if (typeof value !== 'number') return `<td class="${own.links ? 'link' : ''}">${escape(value ?? '')}</td>`;
    if (!Number.isFinite(value)) return '<td></td>';
    const state = own.mappings?.[0]?.options[value];
    const hue = own['custom.cellOptions'] ? ` style="background:${state ? color(state.color) : stepColor(value, own.thresholds)}99"` : '';
    return `<td class="number"${hue}>${escape(state?.text ?? format(value, own.unit ?? 'short', own.decimals))}</td>`;
  };
  const shown = columns.filter((name) => rows.some((row) => row[name] !== undefined) || name.startsWith('Value'));
  const head = shown.map((name) => `<th class="${name.startsWith('Value') ? 'number' : ''}">${escape(renameByName[name])}</th>`).join('');
  return `<table><tr>${head}</tr>${rows.map((row) => `<tr>${shown.map((name) => cell(row, name)).join('')}</tr>`).join('')}</table>`;
}

const DRAW = { stat, bargauge, table, timeseries, heatmap, 'state-timeline': timeline };

function place(element, { x, y, w, h }) {
  Object.assign(element.style, {
    left: `${x * COLUMN}px`, top: `${y * ROW}px`, width: `${w * COLUMN}px`, height: `${h * ROW}px`,
  });
}

function draw(panel, view) {
  const element = document.createElement('section');
  place(element, panel.gridPos);
  if (panel.type === 'row') {
    element.className = 'row';
    element.textContent = panel.title;
    return element;
  }
  element.className = 'panel';
  element.innerHTML = `<div><h2>${escape(panel.title)}</h2><p class="question">${escape(panel.description)}</p><div class="body"></div></div>`;
  const series = seriesOf(panel);
  const { w, h } = panel.gridPos;
  const content = series.length ? DRAW[panel.type](panel, series, view, w * COLUMN - 24, h * ROW - 52) : '';
  element.dataset.state = content ? 'drawn' : 'empty';
  element.dataset.title = panel.title;
  element.querySelector('.body').innerHTML = content || '<div class="none">No data</div>';
  return element;
}

const answer = await fetch(`board.json${location.search}`);
document.body.dataset.ready = answer.ok ? 'soon' : 'failed';
const board = await answer.json();
document.title = board.title;
document.querySelector('h1').textContent = board.title;
const chosen = Object.entries(board.variables).filter(([, value]) => value).map(([name, value]) => `${name}: ${['.+', '.*'].includes(value) ? 'All' : value}`).join('   ');
document.querySelector('.about').textContent = `${board.description}   ${chosen}`;
const main = document.querySelector('main');
main.append(...board.panels.map((panel) => draw(panel, board)));
main.style.height = `${Math.max(...board.panels.map(({ gridPos: { y, h } }) => y + h)) * ROW + 8}px`;
document.body.dataset.ready = 'yes';
