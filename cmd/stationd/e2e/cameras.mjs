// From a camera that answers on the network to its live picture, a turn of its head
// and an alarm of what it detects; a recorder; a table. Run by TestBrowserCameras.
import { openBrowser, openPage, until } from './browser.mjs';
import { check, claim, go, setUp, steps } from './officer.mjs';
import { openAlbum } from './pictures.mjs';
import * as rig from './rig.mjs';

const officer = { account: 'zhangsan', name: '张三', password: '南门 雨伞 四十二 米' };
const facts = await rig.facts();
const faults = [];
const album = await openAlbum(faults);
album.typed = [facts.station.name, officer.name, '南门球机', '南门', '值班室录像机', '主码流', '子码流', '城东派出所', '小区南门', '北门', '街面', '通道', 'Testcam TC-200', 'ONVIF', '固件', 'RTSP', 'rtsps://', 'rtsp://'].sort((a, b) => b.length - a.length);
const browser = await openBrowser();
const step = steps();
const call = async (method, path) => (await fetch(process.env.STATIOND_RIG + path, { method })).text();
const head = async () => JSON.parse(await call('GET', '/head'));
let page;
/** An open dialog: the language cannot be changed behind it. */
const shot = async (name) => {
  for (const size of [{ width: 390, height: 844 }, { width: 1366, height: 768 }, { width: 1920, height: 1080 }]) await album.one(page, name, 'zh', size, false);
};

try {
  const desk = await openPage(browser, 'station', faults);
  page = desk;
  const station = rig.api(desk, facts.station.url);

  await step('a station is claimed; both devices are found on its network', async () => {
    await claim(desk, facts.station.claim, officer);
    await setUp(desk, 'cameras');
    await desk.getByTestId('setup-find').click();
    await until('two devices', 15, async () => (await desk.getByTestId('found-row').count()) === 2);
  });

  await step('the camera is asked, its two streams are chosen, and it is probed', async () => {
    await desk.getByTestId('found-row').filter({ hasText: '南门球机' }).getByTestId('found-choose').click();
    const login = desk.getByTestId('find-login');
    await login.locator('[name=password]').fill('right-horse');
    await login.locator('button[type=submit]').click();
    const profiles = desk.getByTestId('find-profiles');
    await profiles.waitFor();
    check((await profiles.locator('[name=main]').inputValue()) === 'main' && (await profiles.locator('[name=sub]').inputValue()) === 'sub', 'the wrong profiles are proposed');
    await profiles.locator('button[type=submit]').click();
    const dialog = desk.getByTestId('camera-dialog');
    await dialog.locator('[name=place]').fill('小区南门');
    await dialog.locator('[name=owner]').selectOption('police');
    await dialog.locator('[name=ownerName]').fill('城东派出所');
    check((await dialog.locator('[name=url]').inputValue()) === `rtsp://${facts.rtsp}/main`, 'the address still has the camera’s own host');
    await dialog.getByTestId('camera-probe').click();
    await until('findings', 60, async () => (await dialog.getByTestId('finding').count()) > 0);
    const codes = await dialog.getByTestId('finding').evaluateAll((list) => list.map((f) => f.dataset.code));
    check(codes.includes('stream.ok') && codes.includes('onvif.ok') && !codes.includes('camera.password'), `found ${codes}`);
    await dialog.locator('button[type=submit]').click();
    await dialog.waitFor({ state: 'detached' });
    return codes.join(' ');
  });

  let id;
  await step('its live picture plays', async () => {
    const { cameras } = await station.get('/cameras');
    id = cameras[0].camera.id;
    check(cameras[0].camera.owner === 'police' && cameras[0].camera.sub === `rtsp://${facts.rtsp}/sub`, JSON.stringify(cameras[0].camera));
    await desk.goto(`${facts.station.url}/#/cameras/${id}`);
    // A further try lays a second picture over the first until it has come.
    const frames = () => desk.getByTestId('live-video').locator('video').evaluateAll((list) => Math.max(0, ...list.map((v) => v.getVideoPlaybackQuality().totalVideoFrames)));
    await until('pictures', 60, async () => (await frames()) > 10);
  });

  await step('a still picture is the camera’s own', async () => {
    const picture = await desk.getByTestId('camera-snapshot').evaluate(async (link) => {
      const reply = await fetch(link.href);
      const bitmap = await createImageBitmap(await reply.blob());
      return { source: reply.headers.get('picture-source'), kind: reply.headers.get('content-type'), width: bitmap.width, height: bitmap.height };
    });
    check(picture.source === 'camera' && picture.kind === 'image/jpeg' && picture.width === 64 && picture.height === 36, JSON.stringify(picture));
  });

  await step('it turns while the pad is held, and stands still when it is let go', async () => {
    const right = desk.getByTestId('ptz-right');
    await right.waitFor();
    await right.hover();
    await desk.mouse.down();
    await until('it turns', 10, async () => (await head()).turning);
    await until('the order is renewed', 10, async () => (await head()).pan > 0.05);
    await album.one(desk, 'cameras-turning', 'zh', { width: 1366, height: 768 }, false);
    await desk.mouse.up();
    await until('it stands still', 5, async () => !(await head()).turning);
    await desk.getByTestId('ptz-pad').focus();
    await desk.keyboard.down('ArrowLeft');
    await until('it turns by key', 10, async () => (await head()).turning);
    await desk.keyboard.up('ArrowLeft');
    await until('it stands still again', 5, async () => !(await head()).turning);
    await desk.getByTestId('ptz-name').fill('街面');
    await desk.getByTestId('ptz-keep').click();
    await until('a place', 10, async () => (await desk.getByTestId('ptz-goto').count()) === 1);
    await desk.getByTestId('ptz-goto').click();
    await album.take(desk, 'cameras-one', {});
  });

  await step('a tour turns it to a place', async () => {
    await desk.goto(`${facts.station.url}/#/tours`);
    await desk.getByTestId('tour-add').click();
    const dialog = desk.getByTestId('tour-dialog');
    await dialog.locator('[name=name]').fill('球机巡视');
    await dialog.locator('[name=dwell]').fill('4');
    await dialog.getByTestId('step-add').selectOption(`camera:${id}`);
    await dialog.getByTestId('step-place').selectOption({ label: '街面' });
    await album.one(desk, 'tour-place', 'zh', { width: 1366, height: 768 });
    await desk.setViewportSize({ width: 1920, height: 1080 });
    await dialog.locator('button[type=submit]').click();
    await dialog.waitFor({ state: 'detached' });
    const before = (await head()).gotos;
    await desk.getByTestId('tour-start').click();
    await until('the camera at its place', 15, async () => (await head()).gotos > before);
    await desk.getByTestId('tour-stop').click();
    await desk.goto(`${facts.station.url}/#/cameras/${id}`);
  });

  await step('what it detects is a sensor, and alarms', async () => {
    await setUp(desk, 'cameras');
    await desk.getByTestId('row-probe').first().click();
    await desk.getByTestId('camera-detects').click();
    await until('the sensor', 10, async () => (await station.get('/sensors')).sensors.some((r) => r.sensor.source.device === id));
    await desk.keyboard.press('Escape');
    await call('POST', '/motion/on');
    await until('an alarm', 20, async () => (await station.get('/alarms')).alarms.some((a) => a.kind === 'motion'));
    await call('POST', '/motion/off');
  });

  await step('a recorder’s channels become cameras', async () => {
    await setUp(desk, 'recorders');
    await desk.getByTestId('recorder-add').click();
    const dialog = desk.getByTestId('recorder-dialog');
    await dialog.locator('[name=name]').fill('值班室录像机');
    await dialog.locator('[name=host]').fill(facts.rtsp);
    await dialog.locator('[name=username]').fill('admin');
    await dialog.locator('[name=password]').fill('right-horse');
    await dialog.locator('[name=onvif]').fill(facts.recorder);
    await dialog.locator('button[type=submit]').click();
    const channels = desk.getByTestId('channels-dialog');
    await channels.locator('button[type=submit]').click();
    await until('eight channels', 20, async () => (await channels.getByTestId('channel-row').count()) === 8);
    await shot('cameras-channels');
    for (const n of [2, 3, 4, 5, 6, 7]) await channels.getByTestId('channel-row').nth(n).locator('label').click();
    await channels.locator('button[type=submit]').click();
    await until('two more cameras', 15, async () => (await station.get('/cameras')).cameras.length === 3);
    await desk.keyboard.press('Escape');
    const text = JSON.stringify(await station.get('/recorders')) + JSON.stringify(await station.get('/cameras'));
    check(!text.includes('horse'), 'a password can be read');
  });

  await step('cameras by a table: refused as a whole, then taken in', async () => {
    await setUp(desk, 'cameraimport');
    const file = (text) => desk.getByTestId('import-file').setInputFiles({ name: 'cameras.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
    await file('名称,视频地址,归属\n北门,rtsp://127.0.0.1:1/x,月球\n');
    await desk.getByTestId('import-lines').waitFor();
    await album.take(desk, 'cameras-import', { few: true });
    await file('名称,视频地址,归属,录像\n北门,rtsp://127.0.0.1:1/x,公安,不录\n');
    await desk.getByTestId('import-apply').click();
    await until('a fourth camera', 10, async () => (await station.get('/cameras')).cameras.length === 4);
  });

  await step('pictures of the dialogs and the table', async () => {
    await setUp(desk, 'cameras');
    await album.take(desk, 'cameras-table', {});
    await desk.getByTestId('setup-find').click();
    await until('two devices', 15, async () => (await desk.getByTestId('found-row').count()) === 2);
    await shot('cameras-found');
    await desk.keyboard.press('Escape');
    await desk.getByTestId('camera-row').filter({ hasText: '南门球机' }).getByTestId('row-edit').click();
    await desk.getByTestId('camera-dialog').waitFor();
    await shot('cameras-form');
    await desk.keyboard.press('Escape');
    await desk.getByTestId('camera-row').filter({ hasText: '北门' }).getByTestId('row-probe').click();
    await desk.getByTestId('probe-run').click();
    await until('what is wrong', 30, async () => (await desk.getByTestId('finding').evaluateAll((list) => list.map((f) => f.dataset.code))).includes('camera.port'));
    await shot('cameras-probe');
    await desk.keyboard.press('Escape');
  });

  check(!faults.length, `the pages complained:\n${faults.join('\n')}`);
  console.log(`pictures: ${album.folder}`);
} catch (err) {
  if (page) await page.screenshot({ path: `${album.folder}/cameras-failed.png` }).catch(() => {});
  console.error(`${err.stack}\nfaults:\n${faults.join('\n')}\npictures: ${album.folder}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
