// Charts: the table under each chart is its data, so numbers cannot differ; the cursors of all charts move together.

import { $, $$ } from './dom.js';

export function chartData(chart) {
  const table = document.getElementById(chart.dataset.table);
  if (!table) return null;
  const heads = $$('thead th', table).slice(1).map((th) => th.textContent);
  const rows = $$('tbody tr', table).map((tr) => ({
    t: Number(tr.dataset.t),
    label: tr.cells[0].textContent,
    values: [...tr.cells].slice(1).map((cell) => cell.textContent),
  }));
  return { heads, rows };
}

const plots = () => $$('.chart[data-table]').filter((chart) => chart.dataset.zoomed === undefined).map((chart) => ({ plot: $('.chart-plot', chart), data: chartData(chart) }));

function drop() { for (const el of $$('.cursor, .cursor-tip')) el.remove(); }

// The row nearest in time: rows may be missing where no data arrived.
function nearest({ rows }, x) {
  if (!rows.length) return null;
  const first = rows[0].t;
  const wanted = first + x * (rows.at(-1).t - first);
  return rows.reduce((best, row) => (Math.abs(row.t - wanted) < Math.abs(best.t - wanted) ? row : best));
}

function tip(plot, data, row, x, width) {
  const values = data.heads.map((head, i) => `${head} ${row.values[i]}`).join(' · ');
  const el = Object.assign(document.createElement('div'), { className: 'cursor-tip', textContent: `${row.label}  ${values}` });
  plot.append(el);
  el.style.left = `${Math.min(Math.max(0, x * width + 10), Math.max(0, width - el.offsetWidth))}px`;
}

document.addEventListener('pointermove', (event) => {
  const over = event.target.closest?.('.chart-plot');
  if (!over) { if ($('.cursor')) drop(); return; }
  drop();
  const box = over.getBoundingClientRect();
  const x = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  for (const { plot, data } of plots()) {
    const row = data && nearest(data, x);
    if (!row) continue;
    const line = Object.assign(document.createElement('div'), { className: 'cursor' });
    line.style.left = `${x * 100}%`;
    plot.append(line);
    if (plot === over) tip(plot, data, row, x, box.width);
  }
});
