// Needs scripts: local times, buttons that copy ids, tables that can be searched, filtered and
// sorted. Everything else works without.

'use strict';

const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });
const FILTERED = ['Orchestrator', 'Status', 'State'];

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function showLocalTimes() {
  for (const time of document.querySelectorAll('time[datetime]')) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) time.title += `, ${LOCAL.format(moment)} here`;
  }
}

async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // Only pages over https or from this machine may write there.
    getSelection().selectAllChildren(code);
    document.execCommand('copy');
  }
}

function addCopyButtons() {
  for (const code of document.querySelectorAll('main :is(th, td, li, p, a) > code')) {
    const button = element('button', { type: 'button', class: 'copy', 'aria-label': `Copy ${code.textContent}` }, 'Copy');
    button.addEventListener('click', async () => {
      await copy(code);
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
    (code.closest('a') ?? code).after(button);
  }
}

function textOf(row, label) {
  const cell = row.querySelector(`[data-label="${label}"]`) ?? (label === row.dataset.head ? row.querySelector('th') : null);
  return cell ? cell.textContent.replace(/\s+/g, ' ').trim() : '';
}

function keyOf(row, label) {
  const time = row.querySelector(`[data-label="${label}"] time`);
  if (time) return [0, Date.parse(time.dateTime), ''];
  const text = textOf(row, label);
  const number = Number.parseFloat(text.replaceAll(',', ''));
  return Number.isNaN(number) ? [1, 0, text] : [0, -number, ''];
}

function compare(one, other) {
  return one[0] - other[0] || one[1] - other[1] || one[2].localeCompare(other[2]);
}

class FilteredTable {
  constructor(table) {
    this.table = table;
    this.body = table.tBodies[0];
    this.rows = [...this.body.rows];
    this.labels = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    this.place = `${location.pathname} ${table.getAttribute('aria-labelledby')}`;
    for (const row of this.rows) row.dataset.head = this.labels[0];
    this.selects = new Map();
    this.restore();
  }

  tools() {
    const name = document.getElementById(this.table.getAttribute('aria-labelledby')).textContent;
    this.search = element('input', { type: 'search', placeholder: 'Search', 'aria-label': `Search in ${name}` });
    this.order = element('select', { 'aria-label': `Sort ${name}` }, new Option('Unsorted', ''));
    for (const label of this.labels) this.order.append(new Option(`By ${label.toLowerCase()}`, label));
    const tools = element('p', { class: 'tools' }, this.search);
    for (const label of this.labels.filter((each) => FILTERED.includes(each))) {
      const values = [...new Set(this.rows.map((row) => textOf(row, label)))].sort();
      if (values.length < 2) continue;
      const select = element('select', { 'aria-label': `${label} in ${name}` }, new Option(`${label}: all`, ''));
      for (const value of values) select.append(new Option(value, value));
      this.selects.set(label, select);
      tools.append(select);
    }
    this.shown = element('span', { class: 'soft', role: 'status' });
    tools.append(this.order, this.shown);
    tools.addEventListener('input', () => { this.apply(); this.keep(); });
    return tools;
  }

  apply() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of this.rows) {
      const text = row.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word))
        && [...this.selects].every(([label, select]) => !select.value || textOf(row, label) === select.value);
      row.hidden = !fits;
      shown += fits;
    }
    const label = this.order.value;
    const ordered = label ? [...this.rows].sort((one, other) => compare(keyOf(one, label), keyOf(other, label))) : this.rows;
    this.body.append(...ordered);
    this.shown.textContent = shown === this.rows.length ? '' : `${shown} of ${this.rows.length} rows`;
  }

  // Survives a refresh of the page.
  keep() {
    const values = [this.search.value, this.order.value, ...[...this.selects.values()].map((each) => each.value)];
    sessionStorage.setItem(this.place, JSON.stringify(values));
  }

  restore() {
    this.table.before(this.tools());
    const [search, order, ...selected] = JSON.parse(sessionStorage.getItem(this.place) ?? '[""]');
    this.search.value = search;
    if (order) this.order.value = order;
    [...this.selects.values()].forEach((select, place) => { select.value = selected[place] ?? ''; });
    for (const select of [this.order, ...this.selects.values()]) if (select.selectedIndex < 0) select.value = '';
    this.apply();
  }

  only(label, value) {
    const select = this.selects.get(label);
    if (!select) return;
    select.value = value;
    this.apply();
    this.keep();
  }
}

function main() {
  showLocalTimes();
  const tables = [...document.querySelectorAll('table[data-filtered]')].map((table) => new FilteredTable(table));
  addCopyButtons();
  for (const link of document.querySelectorAll('a[data-orchestrator]')) {
    link.addEventListener('click', () => {
      for (const table of tables) table.only('Orchestrator', link.dataset.orchestrator);
    });
  }
}

main();
