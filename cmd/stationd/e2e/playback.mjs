// An officer looks for something in the record: plays, seeks, steps, crosses a gap,
// jumps to an alarm, plays four cameras at once, exports and checks the file. Run by
// TestBrowserPlayback, whose station was recorded two hours ago.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { decoded, openBrowser, openPage, plays, until } from './browser.mjs';
import { check, claim, go, steps } from './officer.mjs';
import { openAlbum } from './pictures.mjs';
import * as rig from './rig.mjs';

const officer = { account: 'zhangsan', name: '张三', password: '南门 雨伞 四十二 米' };
const facts = await rig.facts();
const began = Date.parse(facts.began);
const faults = [];
const album = await openAlbum(faults);
const reason = '派出所调取';
album.typed = [...facts.cameras.map((c) => c.title), '值班室', 'aac', 'alaw', facts.station.name, officer.name, officer.account, reason, '走廊烟感', '3号楼 12 层走廊'].sort((a, b) => b.length - a.length);
const browser = await openBrowser();
const step = steps();
const [lossy, ...others] = facts.cameras.map((c) => c.name);
const seeks = 12;
/** Addresses of media that were asked for. */
const media = [];
let p;

/** The station's clock as the page has it, in seconds of the record. */
const position = async () => (Date.parse(await p.evaluate(() => document.querySelector('.track').getAttribute('aria-valuetext').replace(' ', 'T') + '+08:00')) - began) / 1000;
const tile = (camera) => p.locator(`[data-testid=ptile][data-camera="${camera}"]`);
const video = (camera) => tile(camera).locator('video');
const state = (camera) => tile(camera).getAttribute('data-state');
/** Where a video stands, in seconds of the record. */
const at = async (camera) => (await video(camera).evaluate((v) => v.currentTime)) - began / 1000;
const pad = (n) => String(n).padStart(2, '0');
const local = (ms) => {
  const d = new Date(ms + 8 * 3_600_000);
  return `${d.getUTCFullYear()}-${pad(d.getUTCMonth() + 1)}-${pad(d.getUTCDate())} ${pad(d.getUTCHours())}:${pad(d.getUTCMinutes())}:${pad(d.getUTCSeconds())}`;
};
/** Types a time into the page. */
async function typeTime(seconds) {
  const field = p.getByTestId('goto');
  await field.fill(local(began + seconds * 1000));
  await p.getByTestId('goto-go').click();
}
const address = (cameras, seconds) => `${facts.station.url}/#/playback/${cameras.join(',')}@${new Date(began + seconds * 1000).toISOString()}`;
/** Opens an address of the page afresh. */
async function open(cameras, seconds) {
  await p.goto(address(cameras, seconds));
  await p.getByTestId('playback').waitFor();
  for (const c of cameras) await tile(c).waitFor();
}
const ready = (camera, what = `${camera} has a picture`) => until(what, 20, async () => (await state(camera)) === 'ready');
const pause = async () => (await p.getByTestId('play').getAttribute('aria-pressed')) === 'true' && p.getByTestId('play').click();

try {
  p = await openPage(browser, 'playback', faults);
  p.on('request', (r) => /\/media\?/.test(r.url()) && media.push(r.url()));

  await step('sign in and open the record', async () => {
    await claim(p, facts.station.claim, officer);
    await go(p, 'playback');
    await p.getByTestId('playback').waitFor();
    await open([lossy], 5);
    await ready(lossy);
    await plays('the record', video(lossy), 25);
    const shown = await at(lossy);
    const clock = await position();
    check(Math.abs(shown - clock) < 1.5, `the picture is of ${shown} s, the clock at ${clock} s`);
  });

  await step('a picture is saved before the first one has come', async () => {
    await p.evaluate(() => (location.hash = '#/records'));
    await p.getByTestId('playback').waitFor({ state: 'detached' });
    const saved = p.waitForEvent('download');
    await p.evaluate(async (address) => {
      location.hash = new URL(address).hash;
      for (;;) {
        await new Promise((done) => setTimeout(done, 0));
        const button = document.querySelector('[data-testid=snapshot]');
        if (!button || !/:2\d$/.test(document.querySelector('.track')?.getAttribute('aria-valuetext') ?? '')) continue;
        button.click();
        return;
      }
    }, address([lossy], 21));
    const download = await saved;
    const file = await readFile(await download.path());
    check(download.suggestedFilename().startsWith(`${lossy}_`) && /-2\d\.jpg$/.test(download.suggestedFilename()) && file[0] === 0xff && file[1] === 0xd8 && file.length > 5_000, `${download.suggestedFilename()}, ${file.length} bytes`);
    await ready(lossy);
    return `${download.suggestedFilename()}, ${file.length} bytes`;
  });

  await step('steps on and back, one picture at a time', async () => {
    await typeTime(12);
    await ready(lossy);
    await pause();
    await until('it stands', 10, async () => video(lossy).evaluate((v) => v.paused && !v.seeking));
    await p.keyboard.press('.'); // onto the grid of the pictures
    await until('the next picture', 10, async () => video(lossy).evaluate((v) => !v.seeking && v.readyState >= 2));
    const from = await at(lossy);
    for (let i = 0; i < 5; i++) await p.keyboard.press('.');
    await until('five pictures on', 10, async () => Math.abs((await at(lossy)) - from - 0.2) < 0.01);
    for (let i = 0; i < 3; i++) await p.keyboard.press(',');
    await until('three pictures back', 10, async () => Math.abs((await at(lossy)) - from - 0.08) < 0.01);
  });

  await step('seeks to the first decoded picture', async () => {
    await pause();
    const took = [];
    const before = media.length;
    let bytes = 0;
    for (let i = 0; i < seeks; i++) {
      const to = [3, 75, 21, 96, 9, 88, 31, 71, 17, 82, 27, 92][i % 12] + 0.4;
      // Nothing that is there already helps: another page comes in between.
      await p.evaluate(() => (location.hash = '#/records'));
      await p.getByTestId('playback').waitFor({ state: 'detached' });
      const n = media.length;
      const ms = await p.evaluate(async ({ camera, moment }) => {
        const from = performance.now();
        location.hash = `#/playback/${camera}@${moment}`;
        for (;;) {
          await new Promise((done) => requestAnimationFrame(done));
          const v = document.querySelector(`[data-testid=ptile][data-camera="${camera}"] video`);
          if (v && v.readyState >= 2 && !v.seeking && Math.abs(v.currentTime - Date.parse(moment) / 1000) < 1 && v.getVideoPlaybackQuality().totalVideoFrames > 0) return performance.now() - from;
          if (performance.now() - from > 15_000) throw new Error('no picture within 15 s');
        }
      }, { camera: lossy, moment: new Date(began + to * 1000).toISOString() });
      took.push(ms);
      const first = media[n];
      check(new URL(first).searchParams.get('from').startsWith(new Date(began + to * 1000).toISOString().slice(0, 19)), `the seek to ${to} s asked first for ${first}`);
      // One that the page gave up for a better one has no size.
      bytes += await until(`its first request has ended: ${first}`, 10, () => p.evaluate((url) => performance.getEntriesByName(url)[0]?.encodedBodySize, first)).catch(() => 0);
    }
    took.sort((a, b) => a - b);
    const each = bytes / seeks;
    check(each < 1_500_000, `a seek fetched ${Math.round(each / 1024)} KiB before its first picture`);
    return `median ${Math.round(took[seeks / 2])} ms, most ${Math.round(took[seeks - 1])} ms, one request of ${Math.round(each / 1024)} KiB each (page opened anew each time; ${media.length - before} requests in all)`;
  });

  await step('a gap is shown as one, with its reason, and passed over', async () => {
    await open([lossy], facts.lostFrom - 3);
    await ready(lossy);
    await until('the gap is said', 25, async () => (await state(lossy)) === 'gap');
    const text = await tile(lossy).getByTestId('gap').innerText();
    check(/没有画面/.test(text) && /30 秒/.test(text), `it says ${text}`);
    check(await video(lossy).evaluate((v) => v.paused), 'a picture plays behind the words');
    await album.one(p, 'playback-gap', 'zh', { width: 1366, height: 768 });
    await p.setViewportSize({ width: 1920, height: 1080 });
    await until('the other side', 25, async () => (await state(lossy)) === 'ready' && (await position()) >= facts.lostTo - 0.5);
  });

  await step('sixteen times the speed, key pictures alone', async () => {
    await open([others[0]], 2);
    await ready(others[0]);
    await pause();
    const n = media.length;
    await p.getByTestId('rate-16').click();
    await p.getByTestId('play').click();
    await ready(others[0]);
    const from = { clock: await position(), wall: Date.now(), frames: (await decoded(video(others[0]))).frames };
    await until('forty seconds pass', 30, async () => (await position()) - from.clock > 40);
    const wall = (Date.now() - from.wall) / 1000;
    const passed = (await position()) - from.clock;
    const frames = (await decoded(video(others[0]))).frames - from.frames;
    const asked = media.slice(n);
    check(asked.length > 0 && asked.every((r) => new URL(r).searchParams.get('keys') === '1'), `more than key pictures was fetched: ${asked.join(' ')}`);
    check(frames >= 8, `${frames} pictures`);
    await pause();
    return `${Math.round((passed / wall) * 10) / 10} times, ${frames} pictures, ${asked.length} requests`;
  });

  await step('to the alarm, and to its record and back', async () => {
    await p.getByTestId('rate-1').click(); // at sixteen the alarm is passed before it is asked for
    await open([lossy], 3);
    await ready(lossy);
    await p.getByTestId('alarm-next').click();
    await until('five seconds before it', 20, async () => Math.abs((await position()) - (facts.alarm - 5)) < 3);
    await ready(lossy);
    await p.getByTestId('happenings').locator('a').first().click();
    await p.getByTestId('to-playback').click();
    await p.getByTestId('playback').waitFor();
    await until('the two cameras of its sensor', 15, async () => (await p.getByTestId('ptile').count()) === 2);
    await until('at the alarm', 15, async () => Math.abs((await position()) - (facts.alarm - 5)) < 6);
  });

  await step('four at once, against one clock', async () => {
    const all = [lossy, ...others];
    await open(all, 8);
    for (const c of all) await ready(c);
    for (const c of all) await plays(c, video(c), 10);
    let worst = 0;
    for (let i = 0; i < 5; i++) {
      const stand = await p.evaluate(() => [...document.querySelectorAll('[data-testid=ptile] video')].map((v) => v.currentTime));
      worst = Math.max(worst, Math.max(...stand) - Math.min(...stand));
      await new Promise((done) => setTimeout(done, 300));
    }
    check(worst < 1, `they are ${worst} s apart`);
    await album.take(p, 'playback-four');
    return `at most ${Math.round(worst * 1000)} ms apart`;
  });

  await step('by the keyboard alone', async () => {
    await pause();
    await p.locator('.track').focus();
    const from = await position();
    for (let i = 0; i < 11; i++) await p.keyboard.press('+');
    await p.keyboard.press('ArrowRight');
    const zoomed = await p.evaluate(() => {
      const el = document.querySelector('.track');
      return el.getAttribute('aria-valuemax') - el.getAttribute('aria-valuemin');
    });
    check(zoomed <= 61, `zoomed in to ${zoomed} s`);
    check(Math.abs((await position()) - from) < 2, 'a key press at one minute moves by more than two seconds');
    await album.one(p, 'playback-minute', 'zh', { width: 1920, height: 1080 });
    await p.getByTestId('whole-day').click();
  });

  await step('hovering shows the picture of a moment', async () => {
    await open([others[0]], 20);
    await ready(others[0]);
    await pause();
    await p.locator('.track').focus();
    for (let i = 0; i < 9; i++) await p.keyboard.press('+');
    const box = await p.locator('.band').first().boundingBox();
    const head = await p.locator('.playhead').boundingBox();
    await p.mouse.move(head.x + 8, box.y + 15);
    await until('the preview has a picture', 15, async () => (await p.getByTestId('preview').count()) > 0 && p.getByTestId('preview').evaluate((v) => v.readyState >= 2 && v.videoWidth > 0));
    await p.screenshot({ path: `${album.folder}/playback-hover.png` });
  });

  await step('exports and checks the file', async () => {
    await p.getByTestId('export-open').click();
    const dialog = p.getByTestId('export-dialog');
    await dialog.locator('[name=from]').fill(local(began + 10_000));
    await dialog.locator('[name=to]').fill(local(began + 30_000));
    await dialog.locator('[name=reason]').fill(reason);
    await album.one(p, 'playback-export', 'zh', { width: 1366, height: 768 });
    await p.setViewportSize({ width: 1920, height: 1080 });
    await dialog.locator('button[type=submit]').click();
    const row = p.locator('[data-testid=export][data-status=ready]').first();
    await row.waitFor({ timeout: 40_000 });
    const sum = await row.getByTestId('export-sum').innerText();
    const [download] = await Promise.all([p.waitForEvent('download'), row.getByTestId('export-save').click()]);
    const file = await readFile(await download.path());
    check(createHash('sha256').update(file).digest('hex') === sum.trim(), `the file's sum is not ${sum}`);
    check(file.indexOf('moov') < file.indexOf('mdat'), 'the index does not stand in front');
    const played = await p.evaluate(async (url) => {
      const v = document.createElement('video');
      v.muted = true;
      v.src = url;
      await new Promise((done, fail) => {
        v.onloadeddata = done;
        v.onerror = () => fail(new Error(v.error?.message));
      });
      v.currentTime = 15;
      await new Promise((done) => (v.onseeked = done));
      return { length: v.duration, width: v.videoWidth };
    }, await row.getByTestId('export-save').getAttribute('href'));
    check(Math.abs(played.length - 20) < 0.2 && played.width === 640, `Chromium plays ${JSON.stringify(played)}`);
    const rows = (await rig.api(p, facts.station.url).get('/audit?limit=10')).rows.filter((r) => r.action === 'camera.export');
    check(rows.some((r) => r.detail.includes(sum.trim())) && rows.some((r) => r.detail.includes(reason)), `the audit has ${JSON.stringify(rows)}`);
    await album.take(p, 'playback');
    return `${file.length} bytes`;
  });
  await step('holds evidence, sees it on the timeline and in the list, and releases it with a reason', async () => {
    await open([lossy], 20);
    await ready(lossy);
    await pause();
    await p.getByTestId('hold-open').click();
    const dialog = p.getByTestId('hold-dialog');
    await dialog.locator('[name=from]').fill(local(began + 12_000));
    await dialog.locator('[name=to]').fill(local(began + 34_000));
    await dialog.locator('[name=reason]').fill(reason);
    await dialog.locator('button[type=submit]').click();
    const row = p.getByTestId('held');
    await row.waitFor({ timeout: 10_000 });
    await until('its size is known', 20, async () => /[KM]B/.test(await row.innerText()) || (await p.evaluate(() => { location.hash = '#/records'; }), await p.getByTestId('playback').waitFor({ state: 'detached' }), await open([lossy], 20), await row.waitFor(), false));
    const text = await row.innerText();
    check(text.includes(reason) && text.includes(officer.name), `the row says ${text}`);
    await p.locator('.track').focus();
    for (let i = 0; i < 9; i++) await p.keyboard.press('+');
    await p.getByTestId('held-evidence').waitFor({ state: 'attached', timeout: 15_000 });
    await album.take(p, 'playback-evidence');
    await row.getByTestId('release-open').click();
    const release = p.getByTestId('release-dialog');
    await release.locator('[name=reason]').fill(reason);
    await album.one(p, 'playback-release', 'zh', { width: 1366, height: 768 });
    await p.setViewportSize({ width: 1920, height: 1080 });
    await release.locator('button[type=submit]').click();
    await row.waitFor({ state: 'detached', timeout: 10_000 });
    await p.getByTestId('released').locator('summary').click();
    const was = await p.getByTestId('released').innerText();
    check(was.split(reason).length === 3, `what was released says ${was}`);
    const rows = (await rig.api(p, facts.station.url).get('/audit?limit=20')).rows.filter((r) => /^evidence\./.test(r.action));
    check(rows.length === 2 && rows.every((r) => r.detail.includes(reason)), `the audit has ${JSON.stringify(rows)}`);
  });

  for (const camera of ['aac', 'alaw']) {
    await step(`the sound of the record is heard: ${camera}`, async () => {
      await open([camera], 2);
      await ready(camera);
      if ((await p.getByTestId('play').getAttribute('aria-pressed')) !== 'true') await p.getByTestId('play').click();
      await p.getByTestId('rate-1').click();
      await plays(`the record of ${camera}`, video(camera), 25);
      const heard = () => video(camera).evaluate((v) => v.webkitAudioDecodedByteCount);
      const from = await heard();
      await until('sound', 15, async () => (await heard()) > from + 5_000);
      check((await state(camera)) === 'ready', `it is ${await state(camera)}`);
      return `${(await heard()) - from} bytes decoded`;
    });
  }

  await step('a clock that was set back is a row', async () => {
    await open([facts.setBack], facts.setBackAt - 30); // before it, so that it is in sight at any hour of the day
    await ready(facts.setBack);
    await pause();
    await p.locator('.track').focus();
    for (let i = 0; i < 9; i++) await p.keyboard.press('+');
    const row = p.getByTestId('setting').first();
    await row.waitFor({ timeout: 10_000 });
    const text = await row.innerText();
    check(/拨回 25 秒/.test(text), `the row says ${text}`);
    await row.locator('button').click();
    await until('the moment', 10, async () => Math.abs((await position()) - facts.setBackAt + 25) < 3);
    await album.take(p, 'playback-clock');
  });
} catch (err) {
  faults.push(`failed: ${err.stack ?? err}`);
  await p?.screenshot({ path: `${album.folder}/failed.png` }).catch(() => {});
}
await browser.close();
console.log(`${album.taken} pictures in ${album.folder}`);
for (const f of [...new Set(faults)]) console.error(f);
process.exit(faults.length ? 1 : 0);
