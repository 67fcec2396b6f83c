// Seeks all over a month's record, from the click to the first decoded picture. Run by
// TestBrowserMonth, whose archive has real film of the first camera at noon of each day.
import { createHash } from 'node:crypto';
import { loadavg } from 'node:os';
import { openBrowser, openPage, until } from './browser.mjs';
import { check, claim, steps } from './officer.mjs';
import * as rig from './rig.mjs';

const officer = { account: 'wang', name: '王芳', password: 'a long enough one' };
const facts = await rig.facts();
const noons = facts.noons.map((n) => Date.parse(n));
const faults = [];
const step = steps();
const browser = await openBrowser();
const seeks = 30;

/** Moments all over the month: each day once, in an order without order, and no two at the same place of their film. */
const moments = [...noons.keys()].map((i) => noons[(i * 11 + 3) % noons.length] + ((i * 1_370) % (facts.length * 1000 - 2_500)) + 200);
const quantile = (list, q) => Math.round([...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))]);

/** How fast the machine is just now, and what else it does: without that the figures say nothing. */
function machine() {
  const bytes = Buffer.alloc(64 << 20, 1);
  const began = performance.now();
  createHash('sha256').update(bytes).digest();
  return `SHA-256 at ${Math.round((64 << 20) / 1e3 / (performance.now() - began))} MB/s, load ${loadavg()[0].toFixed(1)}`;
}

/** Runs in the page: does something, and tells how long it takes until a decoded picture of that moment is shown, and what was fetched for it. */
async function seekTo({ moment, open }) {
  performance.clearResourceTimings();
  const field = document.querySelector('[data-testid=goto]');
  const pad = (n) => String(n).padStart(2, '0');
  const d = new Date(moment + 8 * 3_600_000);
  const text = `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}`;
  const want = open ? moment : Math.floor(moment / 1000) * 1000;
  if (!open) {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, text);
    field.dispatchEvent(new Event('input', { bubbles: true }));
    await new Promise((done) => setTimeout(done, 100));
  }
  const began = performance.now();
  if (open) location.hash = open;
  else document.querySelector('[data-testid=goto-go]').click();
  const took = await new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error(`no picture of ${text} within 15 s`)), 15_000);
    const seen = new WeakSet();
    const look = () => {
      const v = document.querySelector('[data-testid=ptile] video');
      if (v && !seen.has(v)) {
        seen.add(v);
        const shown = (_, about) => {
          if (Math.abs(about.mediaTime * 1000 - want) < 900) {
            clearTimeout(late);
            done(performance.now() - began);
          } else v.requestVideoFrameCallback(shown);
        };
        v.requestVideoFrameCallback(shown);
      }
      if (performance.now() - began < 15_000) setTimeout(look, 4);
    };
    look();
  });
  await new Promise((done) => setTimeout(done, 250));
  const fetched = performance.getEntriesByType('resource').filter((e) => /\/(media|timeline)\?/.test(e.name) && e.startTime - began < took);
  const first = fetched.find((e) => /media/.test(e.name));
  return {
    took, requests: fetched.filter((e) => /media/.test(e.name)).length,
    asked: first && first.startTime - began, answered: first && first.responseStart - began, came: first && first.responseEnd - began,
    listed: Math.max(0, ...fetched.filter((e) => /timeline/.test(e.name)).map((e) => e.responseEnd - began)),
  };
}

try {
  const p = await openPage(browser, 'month', faults);
  const station = rig.api(p, facts.station.url);
  await step('claim, sixteen cameras', async () => {
    await claim(p, facts.station.claim, officer);
    for (let n = 0; n < facts.cameras; n++) await station.put(`/cameras/cam-${n}`, { id: `cam-${n}`, name: `${n + 1}号楼`, place: `${n + 1}号楼`, url: `rtsp://127.0.0.1:9/${n}`, onDemand: true });
  });
  const address = (at) => `#/playback/cam-0@${new Date(at).toISOString()}`;
  const tell = (got) => {
    const of = (key) => `${quantile(got.map((g) => g[key]), 0.5)}`;
    return `median ${quantile(got.map((g) => g.took), 0.5)} ms, p95 ${quantile(got.map((g) => g.took), 0.95)} ms, most ${quantile(got.map((g) => g.took), 1)} ms (${got.some((g) => g.asked) ? `the day listed after ${of('listed')}, film asked for after ${of('asked')}, answered after ${of('answered')}, there after ${of('came')} ms` : 'all of it was there'}; ${machine()})`;
  };
  await p.goto(facts.station.url + '/' + address(noons[0]));
  await until('a picture', 30, async () => (await p.locator('[data-testid=ptile]').getAttribute('data-state')) === 'ready');

  const far = [];
  await step(`${seeks} seeks all over the month, in the page`, async () => {
    for (let i = 0; i < seeks; i++) far.push(await p.evaluate(seekTo, { moment: moments[i] }));
    return tell(far);
  });
  const near = [];
  await step('as many within a day that is open', async () => {
    for (let i = 0; i < seeks; i++) near.push(await p.evaluate(seekTo, { moment: noons[5] + ((i * 5_000) % 10_000) + 100 }));
    return tell(near);
  });
  const opened = [];
  await step(`${seeks} links to moments, each opening the page`, async () => {
    for (let i = 0; i < seeks; i++) {
      await p.evaluate(() => (location.hash = '#/records'));
      await p.getByTestId('playback').waitFor({ state: 'detached' });
      opened.push(await p.evaluate(seekTo, { moment: moments[i], open: address(moments[i]) }));
    }
    return tell(opened);
  });
  // What a seek costs must not grow with the month; the figures themselves are the machine's.
  const most = 2_000;
  for (const [what, got] of [['a seek', far], ['a link', opened]]) {
    check(quantile(got.map((g) => g.took), 0.95) < most, `${what} takes ${quantile(got.map((g) => g.took), 0.95)} ms`);
    check(got.every((g) => g.requests <= 3), `${what} asked ${Math.max(...got.map((g) => g.requests))} times for film before its picture`);
  }
  check(quantile(far.map((g) => g.took), 0.5) < 3 * quantile(near.map((g) => g.took), 0.5) + 200, 'a seek to another day costs more than thrice one within a day');
} catch (err) {
  faults.push(err.stack ?? String(err));
} finally {
  await browser.close();
}
if (faults.length) {
  console.error(faults.join('\n'));
  process.exit(1);
}
