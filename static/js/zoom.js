// Drag over a chart to zoom: the server's drawing gives way to uPlot over the same numbers, and all charts follow.
// Double click, or the reset button, brings the drawing back. Colours are read from the tokens, so both themes fit.

import { $, $$, say } from './dom.js';
import { chartData } from './charts.js';

const made = new Map();
let from = null;
let band = null;

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const resolved = (name) => {
  const probe = document.createElement('i');
  probe.hidden = true;
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color || token(name);
};
const number = (text) => { const value = Number.parseFloat(text.replace(/[^\d.-]/g, '')); return Number.isNaN(value) ? null : value; };
const DASHES = [[], [6, 2], [2, 2], [8, 2, 2, 2]];

function columns({ heads, rows }) {
  return [rows.map((row) => row.t), ...heads.map((_, i) => rows.map((row) => number(row.values[i])))];
}

function build(chart) {
  const data = chartData(chart);
  const plot = $('.chart-plot', chart);
  if (!data?.rows.length) return null;
  const axis = { stroke: resolved('--ink-3'), grid: { stroke: resolved('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui' };
  const options = {
    width: plot.clientWidth,
    height: plot.clientHeight + 28,
    legend: { show: false },
    cursor: { sync: { key: 'console' }, drag: { x: true, y: false } },
    scales: { x: { time: true } },
    axes: [{ ...axis }, { ...axis, size: 44 }],
    series: [{}, ...data.heads.map((label, i) => ({ label, width: 1.5, stroke: resolved(`--s${(i % 6) + 1}`), dash: data.heads.length > 2 ? DASHES[i % 4] : [], points: { show: false } }))],
  };
  const holder = document.createElement('div');
  holder.className = 'zoomed';
  plot.append(holder);
  chart.dataset.zoomed = '';
  return new window.uPlot(options, columns(data), holder);
}

function zoom(min, max) {
  for (const chart of $$('.chart[data-table]')) {
    if (!made.has(chart)) { const plot = build(chart); if (plot) made.set(chart, plot); }
  }
  for (const plot of made.values()) plot.setScale('x', { min, max });
  for (const button of $$('[data-zoom-reset]')) button.hidden = false;
  say('Zoomed; all charts follow');
}

function reset() {
  for (const [chart, plot] of made) {
    plot.destroy();
    $('.zoomed', chart)?.remove();
    delete chart.dataset.zoomed;
  }
  made.clear();
  for (const button of $$('[data-zoom-reset]')) button.hidden = true;
}

function timeAt(plot, x) {
  const rows = chartData(plot.closest('.chart'))?.rows ?? [];
  const box = plot.getBoundingClientRect();
  const share = Math.max(0, Math.min(1, (x - box.left) / box.width));
  return rows.length ? rows[0].t + share * (rows.at(-1).t - rows[0].t) : NaN;
}

document.addEventListener('pointerdown', (event) => {
  const plot = event.target.closest('.chart-plot');
  if (!plot || !window.uPlot || event.button || plot.closest('[data-zoomed]')) return;
  from = { plot, x: event.clientX };
  band = Object.assign(document.createElement('div'), { className: 'zoom-band' });
  plot.append(band);
});
document.addEventListener('pointermove', (event) => {
  if (!from) return;
  const box = from.plot.getBoundingClientRect();
  const left = Math.max(box.left, Math.min(from.x, event.clientX));
  const right = Math.min(box.right, Math.max(from.x, event.clientX));
  band.style.left = `${left - box.left}px`;
  band.style.width = `${Math.max(0, right - left)}px`;
});
document.addEventListener('pointerup', (event) => {
  if (!from) return;
  const { plot, x } = from;
  from = null;
  band.remove();
  if (Math.abs(event.clientX - x) < 8) return;
  const ends = [timeAt(plot, x), timeAt(plot, event.clientX)].sort((a, b) => a - b);
  if (!ends.some(Number.isNaN)) zoom(...ends);
});
document.addEventListener('dblclick', (event) => { if (event.target.closest('.chart-plot')) reset(); });
document.addEventListener('click', (event) => { if (event.target.closest('[data-zoom-reset]')) reset(); });
document.addEventListener('console:preference', reset);
document.addEventListener('console:swapped', () => { for (const chart of made.keys()) if (!chart.isConnected) made.delete(chart); });
