import type { ReactNode } from 'react';

/** How something is meant; each has its own shape, so that colour is never the only difference. */
export type Tone = 'ok' | 'warn' | 'bad' | 'info' | 'idle' | 'busy' | 'todo' | 'unknown';

const SHAPES: Record<Tone, ReactNode> = {
  ok: <path d="M3.5 8.5l3 3 6-7" />,
  warn: <path d="M8 2.5l6 11H2zM8 7v3M8 11.8v.2" />,
  bad: <path d="M5.2 2h5.6L14 5.2v5.6L10.8 14H5.2L2 10.8V5.2zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4" />,
  info: <path d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.3V11M8 4.9v.2" />,
  idle: <path d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM5 8h6" />,
  busy: <path d="M8 2a6 6 0 1 1-6 6" />,
  todo: <path d="M8 3.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z" />,
  unknown: <path d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM6.2 6.4a1.9 1.9 0 1 1 2.6 1.7c-.5.2-.8.5-.8 1.1M8 11.4v.2" />,
};

/** Decoration beside a word; hidden from assistive technology. */
export function Icon({ tone }: { tone: Tone }) {
  return (
    <svg className={`icon icon-${tone}`} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      {SHAPES[tone]}
    </svg>
  );
}

const GLYPHS = {
  away: 'M6.5 3.5H3.5v9h9v-3M9 3h4v4M13 3L7.5 8.5',
  down: 'M4 6l4 4 4-4',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5l3.5 3.5',
  close: 'M4 4l8 8M12 4l-8 8',
  system: 'M2.5 3.5h11v7h-11zM6 13h4',
  light: 'M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1',
  dark: 'M13 9.6A5.5 5.5 0 1 1 6.4 3a4.4 4.4 0 0 0 6.6 6.6z',
  person: 'M8 2.5a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 0 0-5.2zM3 13.5c.6-2.6 2.5-4 5-4s4.4 1.4 5 4',
} as const;
export type GlyphName = keyof typeof GLYPHS;

/** A drawn sign of a control; hidden from assistive technology. */
export function Glyph({ name }: { name: GlyphName }) {
  return (
    <svg className="icon glyph" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={GLYPHS[name]} />
    </svg>
  );
}
