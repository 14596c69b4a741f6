/** Grey lines of about the final size; appears after 150 ms so that a quick answer shows none. */
export function Skeleton({ lines, className = 'card' }: { lines: number; className?: string }) {
  return (
    <div className={`skeleton ${className}`} aria-hidden="true">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}
