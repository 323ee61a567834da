// Numbers and addresses of the quota grid: what a cell says, what may be typed, where a cell is.

export const NO_LIMIT = '∞';
const WORDS = new Set(['', NO_LIMIT, '-', '–', 'none', 'no limit', 'unlimited']);

export const key = (unit, pool, sheet) => `${unit}|${pool}|${sheet}`;

// A cell's text as a number to add up; nothing for what is no number.
export function amount(text) {
  if (text === NO_LIMIT) return Infinity;
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
}

// Sums of thousandths, so that 0.1 + 0.2 is 0.3.
export const thousandths = (text) => { const n = amount(text); return Number.isFinite(n) ? Math.round(n * 1000) : n; };
export function written(milli) {
  if (milli === Infinity) return NO_LIMIT;
  return String(milli / 1000);
}

// What was typed as a cell shows it, and what is wrong with it. The server judges again.
export function typed(sheet, text) {
  const clean = text.trim();
  if (sheet.key === 'rank') {
    const word = clean.toLowerCase().replaceAll(' ', '-') || sheet.empty;
    const ranks = sheet.allowed.split(' ');
    return ranks.includes(word) ? { text: word } : { text: clean, wrong: `Allowed: ${ranks.join(', ')}` };
  }
  if (clean === '') return { text: sheet.empty };
  if (sheet.empty === NO_LIMIT && WORDS.has(clean.toLowerCase())) return { text: NO_LIMIT };
  const number = clean.startsWith('.') ? `0${clean}` : clean;
  const allowed = `a number from 0 to ${sheet.allowed}, in steps of 0.001${sheet.empty === NO_LIMIT ? `, or ${NO_LIMIT} for no limit` : ''}`;
  if (!/^\d+(\.\d{1,3}0*)?$/.test(number) || Number(number) > Number(sheet.allowed)) return { text: clean, wrong: `Allowed: ${allowed}` };
  return { text: String(Number(number)) };
}

// A block of a spreadsheet: rows by line, columns by tabulator.
export function block(text) {
  const lines = text.replace(/\r\n?/g, '\n').replace(/\n$/, '').split('\n');
  return lines.map((line) => line.split('\t').map((cell) => cell.replace(/^"(.*)"$/, '$1')));
}
