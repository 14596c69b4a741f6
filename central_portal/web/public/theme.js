// Before the first paint, so that nobody sees a flash of the other theme.
try {
  const theme = localStorage.getItem('parasol.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme applies.
}
