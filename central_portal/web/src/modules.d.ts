declare module '*.po' {
  export const messages: Record<string, string>;
}
declare module '@fontsource-variable/source-sans-3';
