import { formatLocale } from '../i18n';
import { ago, duration, instant } from '../lib/format';
import { useNow } from '../lib/now';

/** "2 hours ago", ticking, with the exact instant in the element and its title. */
export function Ago({ iso }: { iso: string }) {
  const now = useNow();
  return (
    <time dateTime={iso} title={instant(iso, formatLocale)}>
      {ago(iso, now, formatLocale)}
    </time>
  );
}

/** "2 hr 5 min", ticking: how long ago it was, for "online for …". */
export function LongSince({ iso }: { iso: string }) {
  const now = useNow();
  return (
    <time dateTime={iso} title={instant(iso, formatLocale)}>
      {duration((now - Date.parse(iso)) / 1000, formatLocale)}
    </time>
  );
}

/** Date and time in the reader's zone. */
export function Instant({ iso }: { iso: string }) {
  return <time dateTime={iso}>{instant(iso, formatLocale)}</time>;
}
