import { useLocation, useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useState } from 'react';
import { visitIn, withoutVisit, type Visit } from './outcome';

const VisitWords = lazy(() => import('./VisitWords').then((module) => ({ default: module.VisitWords })));

/** Tells once what a visit to a facility came to, and takes it out of the address so that it is not told again. */
export function VisitNotice() {
  const location = useLocation();
  const navigate = useNavigate();
  const [told, setTold] = useState<{ visit: Visit; path: string } | null>(null);
  const parameters = location.search as Record<string, unknown>;
  const fresh = visitIn(parameters);
  const freshKey = fresh ? `${fresh.slug} ${fresh.outcome}` : '';
  useEffect(() => {
    if (!fresh) return;
    setTold({ visit: fresh, path: location.pathname });
    void navigate({ to: location.pathname, search: withoutVisit(parameters) as never, replace: true });
  }, [freshKey]);
  if (!told || told.path !== location.pathname) return null;
  return (
    <Suspense fallback={null}>
      <VisitWords visit={told.visit} dismiss={() => setTold(null)} />
    </Suspense>
  );
}
