// Live pictures for a browser that reaches the console and not the video port.
// Run by TestBrowserWithoutVideoPort.
import { decoded, openBrowser, openPage, until } from './browser.mjs';
import { check, claim, go, steps } from './officer.mjs';
import { openAlbum } from './pictures.mjs';
import * as rig from './rig.mjs';

const facts = await rig.facts();
const faults = [];
const album = await openAlbum(faults);
album.typed = ['北门', 'AAC', 'OPUS', 'PCMA', '示范村工作站', '张三'];
const browser = await openBrowser();
const step = steps();
const officer = { account: 'zhangsan', name: '张三', password: '南门 雨伞 四十二 米' };
const page = await openPage(browser, 'live', faults);

try {
  const station = rig.api(page, facts.station.url);
  await step('a station is claimed and has a camera', async () => {
    await claim(page, facts.station.claim, officer);
    await station.put('/cameras/gate', { name: '北门', url: facts.camera, record: false });
    await until('the camera online', 20, async () => (await station.get('/cameras')).cameras.find((c) => c.camera.id === 'gate')?.state?.status === 'online');
  });

  const video = page.locator('figure.player video').first();
  await step('the picture comes over the socket, and the page says why', async () => {
    await go(page, 'cameras');
    const mark = page.getByTestId('by-socket').first();
    await mark.waitFor({ timeout: 60_000 });
    const why = await mark.getAttribute('title');
    check(why.includes('192.0.2.1'), `it says ${why}`);
    const from = (await decoded(video)).frames;
    await until('pictures', 15, async () => (await decoded(video)).frames > from + 50);
  });
  await album.take(page, 'live-by-socket', {});

  await step('the camera is cut, and is back on the same page', async () => {
    await rig.cut();
    await until('the page says that it is away', 20, async () => (await page.locator('figure.player').first().getAttribute('data-state')) !== 'playing');
    await rig.restore();
    await page.locator('figure.player[data-state=playing]').first().waitFor({ timeout: 40_000 });
    const from = (await decoded(video)).frames;
    await until('pictures again', 15, async () => (await decoded(video)).frames > from + 25);
  });
  for (const [codec, url] of Object.entries(facts.sounds)) {
    await step(`sound by the socket: ${codec}`, async () => {
      const id = codec.toLowerCase();
      await station.put(`/cameras/${id}`, { name: codec, url, record: false });
      await until('the camera online', 20, async () => (await station.get('/cameras')).cameras.find((c) => c.camera.id === id)?.state?.sound === codec);
      await page.goto(`${facts.station.url}/#/cameras/${id}`);
      const figure = page.locator(`figure.player[data-camera=${id}]`);
      await figure.getByTestId('by-socket').waitFor({ timeout: 60_000 });
      const picture = figure.locator('video').first();
      const from = (await decoded(picture)).frames;
      await until('pictures', 15, async () => (await decoded(picture)).frames > from + 25);
      const heard = () => picture.evaluate((v) => v.webkitAudioDecodedByteCount);
      if (codec === 'PCMA') {
        const why = await figure.getByTestId('no-sound').getAttribute('title');
        check(why.includes(codec) && (await heard()) === 0, `it says ${why}`);
        await album.take(page, 'live-by-socket-silent', { few: true });
        return why;
      }
      await figure.getByTestId('sound').click();
      const before = await heard();
      await until('sound', 15, async () => (await heard()) > before + 5_000);
      const frames = (await decoded(picture)).frames;
      await until('pictures beside it', 15, async () => (await decoded(picture)).frames > frames + 50);
      return `${(await heard()) - before} bytes decoded`;
    });
  }
} catch (err) {
  faults.push(err.stack ?? String(err));
  await page.screenshot({ path: `${album.folder}/failed-live.png` }).catch(() => {});
} finally {
  await browser.close();
}
for (const f of faults) console.log(f);
process.exit(faults.length ? 1 : 0);
