// An officer before the video wall, as TestBrowserWall plays it: sixteen pictures, one
// of them large and small again, and a patrol with its log.
import { openBrowser, openPage, until } from './browser.mjs';
import { check, claim, go, steps } from './officer.mjs';
import { openAlbum } from './pictures.mjs';
import * as rig from './rig.mjs';

const officer = { account: 'wang', name: '王芳', password: 'a long enough one' };
const facts = await rig.facts();
const faults = [];
const step = steps();
const browser = await openBrowser();
const album = await openAlbum(faults);
/** @param {{name: string}} c */
const placeOf = (c) => `${c.name.slice(0, c.name.indexOf('楼') + 1)} 走廊`;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
let page;

/** Samples how bright the picture is that is seen in a tile, at each repaint. */
const watchBrightness = (tile) =>
  tile.evaluate((el) => {
    const canvas = document.createElement('canvas');
    canvas.width = 32;
    canvas.height = 18;
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    const seen = (window.seen = []);
    window.sampling = true;
    const look = () => {
      const video = el.querySelector('video');
      if (video) {
        pen.fillRect(0, 0, 32, 18);
        pen.drawImage(video, 0, 0, 32, 18);
        const px = pen.getImageData(0, 0, 32, 18).data;
        let sum = 0;
        for (let i = 0; i < px.length; i += 4) sum += px[i] + px[i + 1] + px[i + 2];
        seen.push({ light: sum / (32 * 18 * 3), width: video.videoWidth, role: video.dataset.role });
      } else seen.push({ light: 0, width: 0, role: '' });
      if (window.sampling) requestAnimationFrame(look);
    };
    look();
  });

try {
  const desk = await openPage(browser, 'station', faults);
  page = desk;
  const station = rig.api(desk, facts.station.url);
  album.typed = [facts.station.name, officer.name, '大门', '夜间巡查', '消防门没有关', ...facts.cameras.flatMap((c) => [c.name, placeOf(c), placeOf(c).split(' ')[0]])].sort((a, b) => b.length - a.length); // the longest first: one may be part of another

  await step('claim, sixteen cameras with a smaller stream each', async () => {
    await claim(desk, facts.station.claim, officer);
    for (const c of facts.cameras) await station.put(`/cameras/${c.id}`, { id: c.id, name: c.name, place: placeOf(c), url: c.url, sub: c.sub, record: c.id === 'cam-01' });
  });

  await step('the wall shows sixteen by their smaller streams', async () => {
    await go(desk, 'cameras');
    await desk.getByTestId('wall-16').click();
    const tiles = desk.getByTestId('camera-tile');
    await until('sixteen tiles', 10, async () => (await tiles.count()) === 16);
    await until('all of them play', 60, async () => (await desk.locator('[data-testid=camera-tile] [data-state=playing]').count()) === 16);
    const widths = await desk.locator('[data-testid=camera-tile] video').evaluateAll((all) => all.map((v) => `${v.dataset.role} ${v.videoWidth}`));
    check(widths.every((w) => w === 'wall 320'), `the wall shows ${widths}`);
    await album.take(desk, 'wall-16', { night: true });
  });

  await step('one is made large and small again without a black picture', async () => {
    const tile = desk.getByTestId('camera-tile').nth(5);
    await until('it plays', 30, async () => (await tile.locator('[data-state=playing]').count()) === 1);
    await tile.focus();
    await watchBrightness(tile);
    const showing = (role, width) => until(`the ${role} stream`, 30, async () => (await tile.locator('video').evaluateAll((all) => all.map((v) => `${v.dataset.role} ${v.videoWidth}`))).join() === `${role} ${width}`);
    await desk.keyboard.press('Enter');
    await showing('focus', 640);
    await wait(500);
    await album.one(desk, 'wall-focus', 'zh', { width: 1920, height: 1080 });
    await tile.focus();
    await desk.keyboard.press('Escape');
    await showing('wall', 320);
    await wait(500);
    const seen = await desk.evaluate(() => {
      window.sampling = false;
      return window.seen;
    });
    const lights = seen.map((s) => s.light).sort((a, b) => a - b);
    const median = lights[Math.floor(lights.length / 2)];
    check(lights.length > 20 && seen.some((s) => s.width === 640) && seen.some((s) => s.width === 320), `${lights.length} samples`);
    check(lights[0] > median / 3, `a picture was as dark as ${lights[0].toFixed(1)}, the usual one is ${median.toFixed(1)}`);
    return `${lights.length} samples, brightness ${lights[0].toFixed(0)} to ${lights[lights.length - 1].toFixed(0)}`;
  });

  await step('a group and a wall are arranged and kept for every seat', async () => {
    await desk.getByTestId('wall-4').click();
    await desk.getByTestId('wall-arrange').click();
    const dialog = desk.getByTestId('wall-dialog');
    await dialog.locator('[name=name]').fill('大门');
    await dialog.getByTestId('slot-1').selectOption('cam-03');
    await album.one(desk, 'wall-arrange', 'zh', { width: 1366, height: 768 });
    await dialog.locator('button[type=submit]').click();
    await dialog.waitFor({ state: 'detached' });
    const { walls } = await station.get('/walls');
    check(walls.length === 1 && walls[0].name === '大门' && walls[0].cameras[0] === 'cam-03', JSON.stringify(walls));
    check((await desk.getByTestId('camera-tile').first().getAttribute('data-camera')) === 'cam-03', 'the saved wall is not shown');
  });

  await step('a patrol asks for a word on each picture, and is in the log', async () => {
    await station.put('/tours/t1', { id: 't1', name: '夜间巡查', dwell: 3, confirm: 'step', steps: [{ camera: 'cam-01' }, { camera: 'cam-02' }] });
    await desk.getByTestId('to-tours').click();
    await desk.getByTestId('tour-start').click();
    const run = desk.getByTestId('tour-run');
    await run.waitFor();
    await until('it plays', 30, async () => (await desk.locator('[data-testid=tour-video][data-state=playing]').count()) === 1);
    await album.take(desk, 'tour', { night: true });
    await desk.getByTestId('step-normal').click();
    await until('the second picture', 10, async () => (await run.getAttribute('data-at')) === '1');
    await wait(1_500);
    await desk.getByTestId('step-report').click();
    await desk.locator('#tour-note').fill('消防门没有关');
    await desk.getByTestId('note-save').click();
    await desk.getByTestId('tour-done').waitFor();
    const { patrols } = await until('the log', 10, async () => {
      const got = await station.get('/patrols');
      return got.patrols[0]?.complete ? got : null;
    });
    const [p] = patrols;
    check(p.name === officer.name && p.views.length === 2 && p.views[0].result === 'normal' && p.views[1].result === 'report' && p.views[1].note === '消防门没有关', JSON.stringify(p));
    check(p.views.some((v) => v.seconds >= 1), `looked at for ${p.views.map((v) => v.seconds)} s`);
    const notes = await station.get('/shift-notes');
    check(notes.notes.some((n) => n.text.includes('消防门没有关')), 'the next shift does not read of it');
    await desk.goto(`${facts.station.url}/#/patrols`);
    await desk.getByTestId('patrol-row').first().click();
    await album.take(desk, 'patrols');
    const file = await desk.request.get(`${facts.station.url}/api/v1/patrols.csv?lang=zh`);
    check((await file.text()).includes('消防门没有关'), 'the file does not have it');
    await desk.goto(`${facts.station.url}/#/tours`);
    await desk.getByTestId('tour').waitFor();
    await album.take(desk, 'tours', { few: true });
  });

  await step('the page of one camera', async () => {
    await desk.goto(`${facts.station.url}/#/cameras/cam-01`);
    await until('it plays', 30, async () => (await desk.locator('[data-testid=live-video][data-state=playing]').count()) === 1);
    await album.take(desk, 'camera', { night: true });
  });
} catch (err) {
  faults.push(err.stack ?? String(err));
  await page?.screenshot({ path: `${album.folder}/failed.png` }).catch(() => {});
} finally {
  await browser.close();
}
console.log(`${album.taken} pictures in ${album.folder}`);
if (faults.length) {
  console.error(faults.join('\n'));
  process.exit(1);
}
