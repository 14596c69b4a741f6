// Fails when the committed catalogue differs from the messages in the code, or lacks a text.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../src/locales/en.po', import.meta.url);
/** What counts: the messages, not the date of extraction. */
const messages = (text) => text.replace(/^"POT-Creation-Date:.*\n/m, '');

const before = readFileSync(path, 'utf8');
execFileSync('npx', ['--no', 'lingui', 'extract', '--clean'], { stdio: ['ignore', 'ignore', 'inherit'] });
const after = readFileSync(path, 'utf8');
if (messages(before) !== messages(after)) {
  console.error('src/locales/en.po was not up to date; it is now. Commit it.');
  process.exit(1);
}
writeFileSync(path, before);
if (/^msgstr ""$(?!\n")/m.test(after.slice(after.indexOf('\n\n')))) {
  console.error('src/locales/en.po has a message without a text.');
  process.exit(1);
}
