import '@fontsource-variable/source-sans-3';
import './styles/index.css';
import { I18nProvider } from '@lingui/react';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { I18nProvider as AriaLocale } from 'react-aria-components';
import { createRoot } from 'react-dom/client';
import { Provider } from 'urql';
import { createPageClient } from './api/client';
import { i18n } from './i18n';
import { router } from './router';

const root = document.getElementById('root');
if (!root) throw new Error('The page has no #root.');

createRoot(root).render(
  <StrictMode>
    <I18nProvider i18n={i18n}>
      <AriaLocale locale="en-US">
        <Provider value={createPageClient()}>
          <RouterProvider router={router} />
        </Provider>
      </AriaLocale>
    </I18nProvider>
  </StrictMode>,
);
