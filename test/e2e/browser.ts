import { type Browser, chromium } from 'playwright-core';
import { requirePrograms } from './cluster/debian.ts';

/** Opens Debian's Chromium, without a window. Close it at the end. */
export function openBrowser(): Promise<Browser> {
  const programs = requirePrograms({ chromium: 'chromium' });
  // Root has no sandbox; nothing but our own pages is opened.
  return chromium.launch({ executablePath: programs.chromium, chromiumSandbox: false, args: ['--disable-gpu'] });
}
