/** The supervisor's command line: as the webhook writes it, and as a pod already has it. */

import { isDeepStrictEqual } from 'node:util';
import type { Method } from './contract.ts';
import { supervisorBinary } from './contract.ts';
import type { Existing } from './existing.ts';
import { quote, type Refuse, refuse } from './outcome.ts';
import type { Container } from './pod.ts';
import { startsRightBinary } from './selection.ts';
import type { SideloadSettings } from './settings.ts';
import { wordsOf } from './supervisor-container.ts';
import { isWorkdirWord, workdirWord } from './workdir.ts';

/** Where the command line of OpenShell's driver and of the webhook has the working directory. */
const WORKDIR_OPTION = '--workdir';

/** What a container that starts the supervisor passes to it. */
interface Launch {
  /** The word behind --workdir; undefined where the command line does not begin with it. */
  readonly workdir: string | undefined;
  /** All other words before `--`. */
  readonly options: readonly string[];
  /** The words after `--`. */
  readonly program: readonly string[];
}

/** Reads the command line of a container that starts the supervisor. */
export function launchOf(container: Container): Launch {
  const words = wordsOf(container).slice(1);
  const end = words.indexOf('--');
  const before = end === -1 ? words : words.slice(0, end);
  const program = end === -1 ? [] : words.slice(end + 1);
  return before[0] === WORKDIR_OPTION && before.length > 1
    ? { workdir: before[1], options: before.slice(2), program }
    : { workdir: undefined, options: before, program };
}

/**
 * Refuses a pod that arrives with its supervisor and passes it more than a working directory and the operator's arguments: the
 * supervisor's options are the operator's (`--policy-rules`, `--upstream-proxy`, …), and some end it (`--help`).
 */
export function refuseOptions(container: Container, { supervisorArgs, policy }: SideloadSettings): Refuse | undefined {
  const { options } = launchOf(container);
  const isOperators = isDeepStrictEqual(options, supervisorArgs);
  if (policy.enforced && !isOperators)
    return refuse(
      'policy-bypassed',
      `container ${quote(container.name ?? '')} starts its supervisor with other options than the operator's, and the policy is enforced here: write only your program as command`,
    );
  if (options.length === 0 || isOperators) return undefined;
  return refuse(
    'supervisor-options',
    `container ${quote(container.name ?? '')} gives its supervisor ${quote(options[0] ?? '')}, and its options are the operator's: write only your program as command`,
  );
}

/** The words of the sandbox container, command and args, as the webhook writes them. */
export function commandLine(
  container: Container,
  existing: Existing,
  method: Method,
  settings: SideloadSettings,
): { readonly command: readonly string[]; readonly program: readonly string[] } {
  const binary = supervisorBinary(method, settings.layout);
  const { workdir, program } = existing.launched ? launchOf(container) : { workdir: undefined, program: wordsOf(container) };
  // With the volume, its layout was chosen; without it, the one that is added has the operator's.
  const ownBinary = existing.method !== undefined && startsRightBinary(container, method) ? container.command?.[0] : undefined;
  const directory = workdir !== undefined && isWorkdirWord(workdir) ? workdir : workdirWord(container, settings);
  return {
    command: [ownBinary ?? binary, WORKDIR_OPTION, directory, ...settings.supervisorArgs],
    program: existing.launched ? program : withoutSupervisor(program, existing, method),
  };
}

/**
 * What another webhook has wrapped after us: its wrapper starts our supervisor, which starts the program. The supervisor that is
 * put in front starts the wrapper; the one behind it goes, since it could not start inside the sandbox.
 */
function withoutSupervisor(words: readonly string[], { method: there }: Existing, method: Method): readonly string[] {
  if (there === undefined) return words;
  const at = words.findIndex((word, index) => startsRightBinary({ command: [word] }, method) && words[index + 1] === WORKDIR_OPTION);
  const end = words.indexOf('--', at + 3);
  if (at === -1 || end === -1 || !words.slice(at + 3, end).every((word) => word.startsWith('--upstream-'))) return words;
  return words.toSpliced(at, end + 1 - at);
}
