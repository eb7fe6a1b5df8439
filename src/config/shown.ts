import { OPTIONS, type OptionName } from './options.ts';

/** Options whose values may be shown to anyone who reaches the admin port. */
type PublicOption = { [Name in OptionName]: (typeof OPTIONS)[Name] extends { readonly secret: true } ? never : Name }[OptionName];

/**
 * The options that decide what becomes of pods, and whether the API server can call. Not among them are those that may hold
 * secrets, as the compiler sees to, and those that name files, Secrets, registries or addresses.
 */
const SHOWN: readonly PublicOption[] = [
  'supervisor-image',
  'supervisor-sideload-method',
  'allowed-sideload-methods',
  'policy',
  'policy-rules',
  'policy-mode',
  'missing-policy',
  'unreachable-probes',
  'neighbours',
  'trusted-supervisor-images',
  'missing-command',
  'entrypoint',
  'inspect-images',
  'pin-resolved-images',
  'sandbox-uid',
  'sandbox-gid',
  'sandbox-workdir',
  'certificates',
  'preflight',
  'tls-min-version',
  'max-connections',
  'max-connections-per-peer',
  'log-level',
];

/** A setting for people, as it would be written on the command line. */
export interface ShownSetting {
  readonly option: string;
  readonly value: string;
  readonly isDefault: boolean;
}

/** @param texts the value of each option, as it is written */
export function shownSettings(texts: ReadonlyMap<OptionName, string>): ShownSetting[] {
  return SHOWN.map((name) => {
    const value = texts.get(name) ?? OPTIONS[name].default;
    return { option: `--${name}`, value, isDefault: value === OPTIONS[name].default };
  });
}
