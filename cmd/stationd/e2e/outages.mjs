// A camera that fails in every way while somebody watches and the station records.
// Run by TestBrowserOutages.
import { openBrowser, openPage, until } from './browser.mjs';
import { check, claim, steps } from './officer.mjs';
import * as rig from './rig.mjs';

const officer = { account: 'wang', name: '王芳', password: 'a long enough one' };
const resumeLimit = 2_000; // ms, of a machine that does other things too; what is seen is printed, and a second is what it should be
const facts = await rig.facts();
const faults = [];
const step = steps();
const browser = await openBrowser();
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

try {
  const desk = await openPage(browser, 'station', faults);
  const station = rig.api(desk, facts.station.url);
  const figure = desk.getByTestId('live-video');
  const state = () => figure.getAttribute('data-state');
  await step('a camera is recorded, and somebody watches it', async () => {
    await claim(desk, facts.station.claim, officer);
    await station.put('/cameras/gate', { id: 'gate', name: '北门', place: '北门', url: facts.camera, record: true });
    await desk.goto(`${facts.station.url}/#/cameras/gate`);
    await until('it plays', 30, async () => (await state()) === 'playing');
    await desk.evaluate(() => {
      const video = document.querySelector('[data-testid=live-video] video');
      window.pictures = [];
      const note = () => {
        window.pictures.push(Date.now());
        video.requestVideoFrameCallback(note);
      };
      video.requestVideoFrameCallback(note);
    });
    await wait(11_000); // a good session is longer than ten seconds
  });
  const layer = await figure.locator('video').getAttribute('data-layer');

  /** The gap of an outage in the record, once there is film behind it. */
  const gapOf = async (failed, back) => {
    const line = await station.get(`/cameras/gate/timeline?from=${new Date(failed - 60_000).toISOString()}&to=${new Date(back + 60_000).toISOString()}`);
    const gap = line.gaps.find((g) => Math.abs(Date.parse(g.from) - failed) < 2_500 && Date.parse(g.to) > back - 500);
    const film = gap && line.recorded.find((s) => Date.parse(s.from) <= Date.parse(gap.to) && Date.parse(s.to) > Date.parse(gap.to) + 1_000);
    return film ? gap : null;
  };

  const took = [];
  for (const [how, ms] of [['cut', 3_000], ['hang', 8_000], ['reboot', 3_000]]) {
    await step(`${how} for ${ms / 1000} s`, async () => {
      await until('it plays', 20, async () => (await state()) === 'playing');
      const { at: failed } = await rig.deed(how, 'gate');
      const said = await until('it says that it is away', ms / 1000 + 20, async () => ['offline', 'stalled'].includes(await state()) && figure.locator('.veil').innerText());
      check(/离线|停住|没有新画面|自/.test(said), `it says ${said}`);
      await wait(Math.max(0, failed + ms - Date.now()));
      const { at } = await rig.deed('restore', 'gate');
      const back = await until('its pictures are back', 40, async () => desk.evaluate((t) => window.pictures.find((x) => x > t + 5) ?? null, at));
      check((await figure.locator('video').getAttribute('data-layer')) === layer, 'the viewer was connected anew');
      took.push(back - at);
      const gap = await until('the record goes on behind its gap', 20, () => gapOf(failed, at));
      check(gap.reason === 'lost', `the gap's reason is ${gap.reason}`);
      const kept = Date.parse(gap.to) - at;
      check(kept <= resumeLimit, `the record goes on ${kept} ms after the camera is back`);
      return `pictures again after ${back - at} ms, recorded again after ${kept} ms; meanwhile “${said.replace(/\n+/g, ' ')}”`;
    });
  }
  await until('the new size', 10, async () => (await figure.locator('video').evaluate((v) => v.videoWidth)) === 480);
  await step('the camera\'s clock is told, and the record goes by the station\'s', async () => {
    const { cameras } = await station.get('/cameras');
    check(/days behind/.test(cameras[0].state.cause ?? ''), `its state is ${JSON.stringify(cameras[0].state)}`);
  });
  check(Math.max(...took) <= resumeLimit, `it took ${Math.max(...took)} ms for pictures to come back`);
} catch (err) {
  faults.push(err.stack ?? String(err));
} finally {
  await browser.close();
}
if (faults.length) {
  console.error(faults.join('\n'));
  process.exit(1);
}
