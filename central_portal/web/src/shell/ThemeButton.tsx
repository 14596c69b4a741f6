import { useLingui } from '@lingui/react/macro';
import { useState } from 'react';
import { announce } from '../ui/announce';
import { Glyph } from '../ui/Icon';

const THEMES = ['system', 'light', 'dark'] as const;
type Theme = (typeof THEMES)[number];
const STORED_UNDER = 'parasol.theme';

function current(): Theme {
  const chosen = document.documentElement.dataset.theme;
  return chosen === 'light' || chosen === 'dark' ? chosen : 'system';
}

function apply(theme: Theme): void {
  if (theme === 'system') {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(STORED_UNDER);
  } else {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(STORED_UNDER, theme);
  }
}

/** Goes round system, light and dark. */
export function ThemeButton() {
  const { t } = useLingui();
  const [theme, setTheme] = useState(current);
  const names: Record<Theme, string> = { system: t`Theme: as the system`, light: t`Theme: light`, dark: t`Theme: dark` };
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
  return (
    <button
      type="button"
      className="btn quiet icon-only"
      aria-label={names[theme]}
      onClick={() => {
        apply(next);
        setTheme(next);
        announce(names[next]);
      }}
    >
      <Glyph name={theme} />
    </button>
  );
}
