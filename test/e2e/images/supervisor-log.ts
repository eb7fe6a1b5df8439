/** The stand-in reports this in one line of its log. */
export interface Report {
  readonly supervisor: string;
  readonly line: string;
  readonly uid: number;
  readonly pid: number;
  readonly argv: readonly string[];
  readonly workdir: string;
  readonly readOnly: boolean;
  readonly writeError: string;
  /** Hexadecimal, as in /proc/self/status. */
  readonly capabilities: string;
}

/** The report in a container's log. The stand-in writes it at level info. */
export function reportIn(log: string): Report | undefined {
  const line = /^\S+ INFO stand_in: (\{.*\})$/m.exec(log)?.[1];
  return line === undefined ? undefined : (JSON.parse(line) as Report);
}

/** The lines of a container's log that are the program's own. */
export function printedIn(log: string): string[] {
  return log.split('\n').filter((line) => line !== '' && !/^\d{4}-\d\d-\d\dT\S+Z (OCSF|INFO|WARN) /.test(line));
}

/**
 * A supervisor's last message without its frame, its line breaks and every other space: it breaks words at slashes and
 * hyphens, so that one cannot tell which spaces were there.
 */
export function squeezed(text: string): string {
  return text.replaceAll(/\n {2}│/g, '').replaceAll(/\s/g, '');
}
