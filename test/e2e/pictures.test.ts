/** The SVG pictures of docs/images in a real browser: what is written in them can be read, on light and on dark pages. */

import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBrowser } from './browser.ts';

const IMAGES = new URL('../../docs/images/', import.meta.url);
const pictures = readdirSync(fileURLToPath(IMAGES)).filter((file) => file.endsWith('.svg'));
let browser: Browser;

beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser?.close());

async function open(
  file: string,
  colorScheme: 'light' | 'dark',
  reducedMotion: 'reduce' | 'no-preference' = 'no-preference',
): Promise<Page> {
  const page = await (await browser.newContext({ colorScheme, reducedMotion })).newPage();
  await page.goto(new URL(file, IMAGES).href);
  return page;
}

/** For a picture: its texts with less than 4.5 of contrast to what is behind them (WCAG 2.2, 1.4.3), and those that stick out of it. */
const FAULTS = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => channels(color).slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, n) => sum + value * [0.2126, 0.7152, 0.0722][n], 0);
  const root = document.documentElement;
  const frame = document.querySelector('.frame');
  const back = frame ? getComputedStyle(frame).fill : getComputedStyle(root).backgroundColor;
  const { width } = root.viewBox.baseVal;
  const texts = [...document.querySelectorAll('text')].filter((text) => text.textContent.trim() !== '');
  const faults = texts.flatMap((text) => {
    const [light, dark] = [luminance(getComputedStyle(text).fill), luminance(back)].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    const { left, right } = text.getBoundingClientRect();
    const scale = root.getBoundingClientRect().width / width;
    return [
      ...(contrast < 4.5 ? [text.textContent + ': contrast ' + contrast.toFixed(1)] : []),
      ...(left < 0 || right / scale > width ? [text.textContent + ': sticks out'] : []),
    ];
  });
  return { texts: texts.length, back, faults };
})()`;

describe.each(pictures)('%s', (file) => {
  it('can be read in both schemes', async () => {
    const found = await Promise.all(
      (['light', 'dark'] as const).map(
        async (scheme) => (await open(file, scheme)).evaluate(FAULTS) as Promise<{ texts: number; back: string; faults: string[] }>,
      ),
    );
    expect(found.map(({ faults }) => faults)).toEqual([[], []]);
    expect(found[0]?.texts).toBeGreaterThan(5);
    expect(found[0]?.back).not.toBe(found[1]?.back);
  });
});

describe('demo.svg', () => {
  /** The lines that are seen: inside the window, and above the curtain. */
  const SEEN = `(() => {
    const window = document.querySelector('svg svg').getBoundingClientRect();
    const curtain = document.querySelector('.curtain').getBoundingClientRect();
    const { top } = document.querySelector('.frame').getBoundingClientRect();
    const bottom = Math.min(document.querySelector('.frame').getBoundingClientRect().bottom, curtain.top + 1);
    const rows = new Map();
    for (const text of document.querySelectorAll('text')) {
      const place = text.getBoundingClientRect();
      if (place.top >= top && place.bottom <= bottom + 4) rows.set(place.top, (rows.get(place.top) ?? '') + text.textContent);
    }
    return [...rows].sort(([one], [other]) => one - other).map(([, text]) => text);
  })()`;
  /** Stops at a part of the time, so that no test waits for it. */
  const at = (page: Page, part: number): Promise<string[]> =>
    page.evaluate(`document.getAnimations().forEach((animation) => {
      animation.pause();
      animation.currentTime = ${part} * animation.effect.getComputedTiming().duration;
    }); ${SEEN}`);

  it('prints line after line, and scrolls', async () => {
    const page = await open('demo.svg', 'light');
    expect(await at(page, 0)).toEqual([]);
    expect((await at(page, 0.01))[0]).toBe('$npm run demo');
    const middle = await at(page, 0.5);
    expect(middle.length).toBeGreaterThan(20);
    expect(middle).not.toContain('$npm run demo');
    expect((await at(page, 0.999)).at(-1)).toContain('Install it into a cluster:');
  });

  it('shows its end to those who want no motion', async () => {
    const page = await open('demo.svg', 'dark', 'reduce');
    expect(await page.evaluate('document.getAnimations().length')).toBe(0);
    expect(((await page.evaluate(SEEN)) as string[]).at(-1)).toContain('Install it into a cluster:');
  });
});
