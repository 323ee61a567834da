// Copies the third-party browser assets out of node_modules into static/vendor (git-ignored).
// Run by `npm run build`, after `npm ci`. Safe to repeat: it writes whole files and prunes what is no longer listed.
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, '..', 'node_modules');
const vendor = join(here, 'vendor');

const FILES = {
  'htmx.min.js': 'htmx.org/dist/htmx.min.js',
  'uplot.iife.min.js': 'uplot/dist/uPlot.iife.min.js',
  'uplot.min.css': 'uplot/dist/uPlot.min.css',
  'inter-latin.woff2': '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2',
  'inter-latin-ext.woff2': '@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2',
  'mono-latin.woff2': '@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2',
  'licences/htmx.txt': 'htmx.org/LICENSE',
  'licences/uplot.txt': 'uplot/LICENSE',
  'licences/inter.txt': '@fontsource-variable/inter/LICENSE',
  'licences/jetbrains-mono.txt': '@fontsource-variable/jetbrains-mono/LICENSE',
};

await mkdir(join(vendor, 'licences'), { recursive: true });
for (const name of await readdir(vendor)) {
  if (!(name in FILES) && !['licences', 'vendor.json'].includes(name) && !name.startsWith('.')) await rm(join(vendor, name), { recursive: true });
}
const sums = {};
for (const [to, from] of Object.entries(FILES)) {
  await copyFile(join(modules, from), join(vendor, to));
  sums[to] = createHash('sha256').update(readFileSync(join(vendor, to))).digest('hex');
}
await writeFile(join(vendor, 'vendor.json'), `${JSON.stringify(sums, null, 2)}\n`);
console.log(`static/vendor: ${Object.keys(FILES).length} files`);
