const key = (facility: string) => `parasol.environment.${facility}`;

/** The environment (slug) that was started last at a facility in this browser. */
export function lastEnvironment(facility: string): string | null {
  try {
    return localStorage.getItem(key(facility));
  } catch {
    return null;
  }
}

export function rememberEnvironment(facility: string, environment: string): void {
  try {
    localStorage.setItem(key(facility), environment);
  } catch {
    // Without storage the form begins with what is offered first.
  }
}
