// The browser: the installed Chromium, and a witness that writes down whatever
// goes wrong in a page.
import { createRequire } from 'node:module';

const { chromium } = createRequire(new URL('../../../.ci/node/', import.meta.url))('playwright-core');

/** @param {string[]} [more] further switches */
export function openBrowser(more = []) {
  return chromium.launch({
    executablePath: process.env.STATIOND_CHROMIUM || '/usr/bin/chromium',
    args: [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
      '--autoplay-policy=no-user-gesture-required', ...more,
    ],
  });
}

// What a page that is left or shown anew breaks off by itself is no fault.
const brokenOff = /\/api\/v1\/(logout|events|plans|cameras\/[^/]+\/(whep|talk)|talk\/[^/]+|whep\/[^/]+|clips\/[^/]+\/video\.mp4|cameras\/[^/]+\/(media|preview|timeline|days)|cameras\/[^/]+\/exports\/[^/]+\/video\.mp4)$/;

/** A page whose faults go into the list: complaints of the console, errors, what the policy refused, requests that failed. */
export async function openPage(browser, name, faults) {
  const context = await browser.newContext({ viewport: { width: 1920, height: 1080 }, colorScheme: 'light', locale: 'zh-CN', timezoneId: 'Asia/Shanghai' });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const fault = (what, text) => faults.push(`${name}: ${what}: ${text}`);
  await page.addInitScript(() =>
    addEventListener('securitypolicyviolation', (e) => console.error(`the policy ${e.violatedDirective} refused ${e.blockedURI} at ${e.sourceFile}:${e.lineNumber}`)),
  );
  page.on('console', (m) => ['error', 'warning', 'assert'].includes(m.type()) && fault(`console ${m.type()}`, `${m.text()} (${m.location().url})`));
  page.on('pageerror', (e) => fault('error', e.stack ?? String(e)));
  page.on('crash', () => fault('crash', page.url()));
  page.on('response', (r) => r.status() >= 400 && fault('reply', `${r.status()} ${r.request().method()} ${r.url()}`));
  page.on('requestfailed', (r) => {
    const why = r.failure()?.errorText ?? '';
    if (why === 'net::ERR_ABORTED' && r.method() === 'DELETE') return; // a reply without content is told so
    if (!(why === 'net::ERR_ABORTED' && brokenOff.test(new URL(r.url()).pathname))) fault('request', `${why} ${r.method()} ${r.url()}`);
  });
  return page;
}

/** Waits until test() is truthy and returns that; says what was waited for when it never is. */
export async function until(what, seconds, test) {
  const end = Date.now() + seconds * 1000;
  for (let last; ; ) {
    try {
      const got = await test();
      if (got) return got;
      last = undefined;
    } catch (err) {
      last = err;
    }
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s${last ? `: ${last.message}` : ''}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** How many pictures a video has decoded so far, and where it stands. */
export const decoded = (video) => video.evaluate((v) => ({ frames: v.getVideoPlaybackQuality().totalVideoFrames, dropped: v.getVideoPlaybackQuality().droppedVideoFrames, at: v.currentTime, width: v.videoWidth }));

/** Waits until a video has decoded so many pictures more. */
export async function plays(what, video, more = 25, seconds = 20) {
  await video.waitFor({ state: 'attached' });
  const before = await decoded(video);
  return until(`${what} plays`, seconds, async () => {
    const now = await decoded(video);
    return now.frames >= before.frames + more && now.width > 0 ? now : null;
  });
}
