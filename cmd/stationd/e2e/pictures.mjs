// Pictures of the pages at the sizes that matter, in both languages, for a
// person to look at; and what a program can see in them by itself: nothing runs
// out of the window, nothing scrolls on the desk, one language at a time.
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const sizes = [
  { width: 1920, height: 1080 },
  { width: 1366, height: 768 },
  { width: 390, height: 844 },
];

export async function openAlbum(faults) {
  const folder = process.env.STATIOND_SHOTS || (await mkdtemp(join(tmpdir(), 'stationd-shots-')));
  await mkdir(folder, { recursive: true });
  return new Album(folder, faults);
}

class Album {
  constructor(folder, faults) {
    this.folder = folder;
    this.faults = faults;
    this.taken = 0;
    /** Words that people typed in; they stay in any language. */
    this.typed = [];
  }

  /** Takes a page in all sizes in Chinese, in two in English; options: night too (at the wall's size), desk: must not scroll, few: one of a screen and one of a phone are enough. */
  async take(page, name, { night = false, desk = false, few = false } = {}) {
    if (few) {
      await this.one(page, name, 'zh', sizes[1], desk);
      await speak(page, 'en');
      await this.one(page, name, 'en', sizes[2], desk);
      await speak(page, 'zh');
      return page.setViewportSize(sizes[0]);
    }
    for (const size of sizes) await this.one(page, name, 'zh', size, desk);
    if (night) {
      await page.emulateMedia({ colorScheme: 'dark' });
      await this.one(page, `${name}-night`, 'zh', sizes[0], desk);
      await page.emulateMedia({ colorScheme: 'light' });
    }
    await speak(page, 'en');
    for (const size of sizes.slice(1)) await this.one(page, name, 'en', size, desk);
    await speak(page, 'zh');
    await page.setViewportSize(sizes[0]);
  }

  async one(page, name, lang, size, desk) {
    await page.setViewportSize(size);
    await page.mouse.move(0, 0);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const title = `${name}-${size.width}x${size.height}-${lang}`;
    await page.screenshot({ path: join(this.folder, `${title}.png`), fullPage: size.width < 900 });
    this.taken++;
    for (const fault of await page.evaluate(lookOver, { desk: desk && size.width > 900, lang, typed: this.typed })) this.faults.push(`${title}: ${fault}`);
  }
}

/** Switches the page's language by its own switch. */
export async function speak(page, lang) {
  const want = lang === 'en' ? 'en' : 'zh-CN';
  if ((await page.evaluate(() => document.documentElement.lang)) !== want) await page.getByTestId('lang-switch').click();
  await page.waitForFunction((l) => document.documentElement.lang === l, want);
}

/** Runs in the page. */
function lookOver({ desk, lang, typed }) {
  const faults = [];
  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) faults.push(`runs out of the window: ${root.scrollWidth} of ${innerWidth}`);
  if (desk) {
    if (root.scrollHeight > innerHeight) faults.push(`the desk scrolls: ${root.scrollHeight} of ${innerHeight}`);
    for (const el of document.querySelectorAll('.desk > main, .desk > aside, .desk .card, .desk .title')) {
      if (el.scrollHeight > el.clientHeight + 1) faults.push(`${el.className || el.tagName}: ${el.scrollHeight - el.clientHeight} px are out of sight`);
    }
  }
  const place = document.querySelector('.desk .title p'); // whose signs are taller than its lines, by less than half a line
  if (place && place.scrollHeight > place.clientHeight + 16) faults.push('the place is cut off');
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const el = words.currentNode.parentElement;
    let text = words.currentNode.data.replace(/\{\w+\}/g, '').trim();
    if (!text || el.closest('noscript, code, pre, .typed, .version, .lang, .unseen')) continue;
    for (const word of typed) text = text.replaceAll(word, '');
    const foreign = lang === 'zh' ? /[A-Za-z]{4,}/ : /\p{Script=Han}/u;
    if (foreign.test(text)) faults.push(`not in this language: ${JSON.stringify(words.currentNode.data)}`);
  }
  return faults;
}
