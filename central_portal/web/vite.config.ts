import { lingui } from '@lingui/vite-plugin';
import optimizeLocales from '@react-aria/optimize-locales-plugin';
import react from '@vitejs/plugin-react';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** The first text needs this font: ask for it before the style sheet has been read. */
function preloadFont(): Plugin {
  return {
    name: 'preload-latin-font',
    apply: 'build',
    transformIndexHtml(_html, { bundle }) {
      const font = Object.keys(bundle ?? {}).find((name) => /sans-3-latin-wght-normal.*\.woff2$/.test(name));
      if (!font) throw new Error('The latin font is not part of the build.');
      const attrs = { rel: 'preload', as: 'font', type: 'font/woff2', href: `/${font}`, crossorigin: true };
      return [{ tag: 'link', attrs, injectTo: 'head' }];
    },
  };
}

/**
 * Small modules that many pages share, in one chunk each: a chunk of its own for every one weighs more than it holds.
 * None of `common` is needed by the entry, or every page would wait for all of it; `base` is.
 */
const GROUPS = [
  {
    name: 'common',
    test: /\/src\/(words\/|tasks\/task\.|api\/read|lib\/format|launch\/FlavourText|facilities\/(ConnectLink|links|queries|useFacilities)|ui\/(ProblemNotice|ReadError|SignInNotice|Time)\.)/,
  },
  { name: 'base', test: /\/src\/(lib\/(kept|paths|store)|restore\/asked|tasks\/started)\./ },
];

export default defineConfig({
  plugins: [
    { ...optimizeLocales.vite({ locales: ['en-US'] }), enforce: 'pre' },
    lingui({ macroTransform: true }),
    react(),
    preloadFont(),
  ],
  build: {
    target: 'baseline-widely-available',
    modulePreload: { polyfill: false },
    // A data: URL would need a hole in the content security policy.
    assetsInlineLimit: 0,
    manifest: true,
    rolldownOptions: { output: { codeSplitting: { groups: GROUPS, includeDependenciesRecursively: false } } },
  },
  test: {
    environment: 'jsdom',
    include: ['tests/**/*.test.{ts,tsx}'],
    setupFiles: ['tests/setup.ts'],
    env: { TZ: 'Europe/Paris' },
  },
});
