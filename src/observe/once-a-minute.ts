const MINUTE_MS = 60_000;

/**
 * Reports at most once a minute, so that a client cannot fill the log.
 *
 * @param report gets the last event, and how many there were since the report before it
 */
export function onceAMinute<Event>(report: (event: Event, count: number) => void): (event: Event) => void {
  let [next, count] = [0, 0];
  return (event) => {
    count++;
    if (Date.now() < next) return;
    report(event, count);
    [next, count] = [Date.now() + MINUTE_MS, 0];
  };
}
