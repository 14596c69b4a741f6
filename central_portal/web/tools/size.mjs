// Fails when a page of the build weighs more than its budget (kB = 1000 bytes, gzip).
import { existsSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const BUDGET = { base: 145, chunk: 25, page: 200, css: 15, font: 30 };
const dist = new URL('../dist/', import.meta.url);
if (!existsSync(new URL('.vite/manifest.json', dist))) {
  console.error('There is no build to weigh: run `npm run build` first.');
  process.exit(1);
}
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'));
const bytes = (file) => readFileSync(new URL(file, dist));
const kB = (files) => [...files].reduce((sum, file) => sum + gzipSync(bytes(file), { level: 9 }).length, 0) / 1000;

/** Every script that a chunk needs, its static imports included. */
function scripts(key, seen = new Set()) {
  const chunk = manifest[key];
  if (seen.has(chunk.file)) return seen;
  seen.add(chunk.file);
  for (const imported of chunk.imports ?? []) scripts(imported, seen);
  return seen;
}

const failures = [];
function weigh(what, weight, budget) {
  const over = weight > budget;
  if (over) failures.push(what);
  console.log(`${over ? 'OVER' : '  ok'}  ${weight.toFixed(1).padStart(6)} / ${budget} kB  ${what}`);
}

const entryKey = Object.keys(manifest).find((key) => manifest[key].isEntry);
const base = scripts(entryKey);
weigh('base: every page needs it', kB(base), BUDGET.base);

const lazy = Object.keys(manifest).filter((key) => manifest[key].isDynamicEntry);
const launch = lazy.find((key) => key.includes('LaunchDialog'));
for (const key of lazy.filter((each) => each !== launch)) {
  const page = scripts(key);
  const own = [...page].filter((file) => !base.has(file));
  weigh(`chunk ${key.replace('src/', '')}`, kB([manifest[key].file]), BUDGET.chunk);
  const withLaunch = launch ? scripts(launch, new Set([...base, ...own])) : new Set([...base, ...own]);
  weigh(`page  ${key.replace('src/', '')} with the launch dialog`, kB(withLaunch), BUDGET.page);
}

const css = new Set(Object.values(manifest).flatMap((chunk) => chunk.css ?? []));
weigh('css', kB(css), BUDGET.css);
const font = Object.values(manifest).find((chunk) => /sans-3-latin-wght-normal/.test(chunk.src ?? ''));
weigh('font of the first text', font ? bytes(font.file).length / 1000 : Infinity, BUDGET.font);
if (failures.length) process.exit(1);
