import { i18n } from '@lingui/core';
import { messages } from '../locales/en.po';

/** The words are English; dates and numbers follow the reader's own kind of English. */
export const formatLocale = navigator.languages.find((tag) => /^en\b/.test(tag)) ?? 'en-GB';

i18n.loadAndActivate({ locale: 'en', locales: [formatLocale, 'en'], messages });

export { i18n };
