import { RestoreNews } from '../restore/RestoreNews';
import { TaskNews } from '../tasks/TaskNews';

/** Everything that a person waited for and is told on every page. */
export function AllNews() {
  return (
    <>
      <RestoreNews />
      <TaskNews />
    </>
  );
}
