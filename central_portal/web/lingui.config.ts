import { defineConfig } from '@lingui/conf';
import { formatter } from '@lingui/format-po';

export default defineConfig({
  sourceLocale: 'en',
  locales: ['en'],
  catalogs: [{ path: 'src/locales/{locale}', include: ['src'], exclude: ['src/gql/**'] }],
  // Without line numbers: a moved line is not a changed message.
  format: formatter({ lineNumbers: false }),
});
