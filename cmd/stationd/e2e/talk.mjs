// An officer who talks through a camera, as TestBrowserTalk plays it, in a browser
// whose microphone beeps twice a second.
import { openBrowser, openPage, until } from './browser.mjs';
import { check, claim, go, logIn, steps } from './officer.mjs';
import { openAlbum } from './pictures.mjs';
import * as rig from './rig.mjs';

const facts = await rig.facts();
const faults = [];
const album = await openAlbum(faults);
album.typed = ['12层走廊', '示范村工作站', '张三', '李四', 'zhangsan', 'lisi', 'PCMA'];
const microphone = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
const browser = await openBrowser(microphone);
const refusing = await openBrowser(microphone.slice(0, 1)); // a page that asks is refused
const step = steps();
const officer = { account: 'zhangsan', name: '张三', password: '南门 雨伞 四十二 米' };
const other = { account: 'lisi', name: '李四', password: '北门 雨伞 四十三 米' };
const smoke = 'smoke-3-1202';
const page = await openPage(browser, 'talk', faults);
page.context().setDefaultTimeout(40_000);
let station;
let second;

const key = (p) => p.getByTestId('talk').first();
const line = (p) => p.getByTestId('talk-line').first();
const speaking = (p) => p.locator('[data-testid=talk-line][data-phase=speaking]').first().waitFor();
const silent = (p) => line(p).waitFor({ state: 'detached' });
const open = async (p, id) => {
  await p.goto(`${facts.station.url}/#/cameras/${id}`);
  await p.locator('figure.player[data-state=playing]').first().waitFor({ timeout: 30_000 });
};
const press = async (p) => {
  const box = await key(p).boundingBox();
  await p.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await p.mouse.down();
};
const talking = async () => (await station.get('/cameras')).cameras.find((c) => c.camera.id === 'gate').state.talking;
const over = () => until('nobody talks', 10, async () => !(await talking()));

try {
  station = rig.api(page, facts.station.url);
  await step('a station with a camera that hears, and one that hears AAC alone', async () => {
    await claim(page, facts.station.claim, officer);
    await station.put('/cameras/gate', { name: '12层走廊', url: facts.camera, record: false });
    await station.put('/cameras/mute', { name: '车库', url: facts.mute, record: false });
    await station.put('/accounts/lisi', { name: other.name, role: 'operator', password: other.password });
    const state = async (id) => (await station.get('/cameras')).cameras.find((c) => c.camera.id === id)?.state;
    await until('it is known what they take', 20, async () => (await state('gate'))?.talk === 'PCMA' && (await state('mute'))?.talk === 'AAC');
  });

  await step('held, it is heard at the camera; let go, it is not', async () => {
    await open(page, 'gate');
    await page.getByText('可以（G.711A）').waitFor();
    await press(page);
    await speaking(page);
    const heard = await until('a second of voice with beeps in it', 15, async () => {
      const h = await rig.loudspeaker();
      return h.packets > 60 && h.loudest > 1e6 && h;
    });
    check(heard.type === 8, `it came as type ${heard.type}`);
    check(heard.loudest > 100 * heard.stillest, `no beeps: between ${heard.stillest} and ${heard.loudest}`);
    await until('the level moves', 5, async () => page.getByTestId('talk-level').first().evaluate((m) => m.value > 0.3));
    const left = Number(/\d+/.exec(await page.getByTestId('talk-left').first().textContent())[0]);
    check(left > 0 && left <= 12, `${left} s are left`);
    check((await talking()).name === officer.name, 'it is not told who talks');
    await page.mouse.up();
    await silent(page);
    await over();
    const { packets, sessions } = await until('the camera is hung up', 10, async () => {
      const h = await rig.loudspeaker();
      return h.sessions === 1 && h;
    });
    await page.waitForTimeout(300);
    check((await rig.loudspeaker()).packets === packets, 'it is heard after it was let go');
    return `${packets} packets, energy ${Math.round(heard.stillest)} to ${Math.round(heard.loudest)}, ${sessions} session left`;
  });

  await step('clicked, it stays open; another officer sees who talks and cannot', async () => {
    second = await openPage(browser, 'other', faults);
    await logIn(second, facts.station.url, other);
    await open(second, 'gate');
    await key(second).waitFor();
    await press(page);
    await page.mouse.up();
    await speaking(page);
    check((await line(page).textContent()).includes('保持接通'), 'it does not say that it stays open');
    await second.getByTestId('talk-other').filter({ hasText: '张三正在喊话' }).waitFor();
    check(await key(second).isDisabled(), 'the other may press');
    await album.one(second, 'talk-other', 'zh', { width: 1366, height: 768 });
    await album.one(page, 'talk', 'zh', { width: 1920, height: 1080 });
    await press(page);
    await page.mouse.up();
    await silent(page);
    await over();
    await until('the other may', 5, async () => !(await key(second).isDisabled()));
  });

  await step('the space bar talks where the key was reached by keyboard, Enter keeps it open', async () => {
    await key(page).focus();
    await page.keyboard.down('Space');
    await speaking(page);
    await page.waitForTimeout(400);
    await page.keyboard.up('Space');
    await silent(page);
    await over();
    await page.keyboard.press('Enter');
    await speaking(page);
    await page.keyboard.press('Enter');
    await silent(page);
    await over();
  });

  await step('the time is over', async () => {
    await press(page);
    await page.mouse.up();
    await speaking(page);
    await album.take(page, 'talk-kept');
    await page.getByTestId('talk-problem').filter({ hasText: /时间到了|time for one talk/ }).waitFor({ timeout: 20_000 });
    await over();
  });

  await step('a page that may not use the microphone says so; a camera that takes AAC, what to change', async () => {
    const third = await openPage(refusing, 'refused', faults);
    await logIn(third, facts.station.url, other);
    await open(third, 'gate');
    await press(third);
    await third.getByTestId('talk-problem').filter({ hasText: '没有允许使用话筒' }).waitFor();
    await third.mouse.up();
    await album.one(third, 'talk-denied', 'zh', { width: 1366, height: 768 });
    await open(third, 'mute');
    await third.getByText('G.711').first().waitFor();
    check((await key(third).count()) === 0, 'there is a key for a camera that cannot be talked through');
    await third.context().close();
  });

  await step('an alarm is live: the key stands beneath its picture and hides nothing of it; the space bar answers', async () => {
    const { password } = await station.put('/devices/gateway-1', {});
    const sensor = facts.sensors.find((s) => s.id === smoke);
    await station.put(`/sensors/${smoke}`, { ...sensor, cameras: ['gate'] });
    await rig.startSensors({ username: 'gateway-1', password });
    await page.goto(`${facts.station.url}/#/desk`);
    await page.locator('.desk').waitFor();
    await rig.alarm(smoke);
    await page.locator('[data-testid=live-video][data-state=playing]').waitFor({ timeout: 30_000 });
    const title = await page.locator('.desk .title').boundingBox();
    await press(page);
    await page.mouse.up();
    await speaking(page);
    const now = await page.locator('.desk .title').boundingBox();
    check(JSON.stringify(now) === JSON.stringify(title), 'the alarm moved');
    const [bar, picture] = [await line(page).boundingBox(), await page.locator('[data-testid=live-video] .picture').boundingBox()];
    check(bar.y >= picture.y + picture.height - 1, 'the line covers the picture');
    await album.one(page, 'talk-alarm', 'zh', { width: 1920, height: 1080 }, true);
    await album.one(page, 'talk-alarm', 'zh', { width: 1366, height: 768 }, true);
    await page.setViewportSize({ width: 1920, height: 1080 });
    await page.keyboard.press('Space');
    await until('the alarm is answered', 10, async () => (await station.get('/alarms')).alarms.some((a) => a.sensor === smoke && a.state === 'acknowledged'));
    check(await line(page).isVisible(), 'answering ended the talk');
    await press(page);
    await page.mouse.up();
    await silent(page);
    await over();
  });

  await step('the audit says who talked and why it ended', async () => {
    const rows = (await station.get('/audit?limit=100')).rows.filter((r) => r.subject === 'camera/gate' && r.action.startsWith('camera.talk'));
    const ends = rows.filter((r) => r.action === 'camera.talk.end');
    check(ends.length >= 6 && ends.length === rows.length / 2 && ends.every((r) => r.actor.account === 'zhangsan'), `${rows.length} rows, ${ends.length} ends`);
    check(ends.some((r) => r.detail.includes('let go')) && ends.some((r) => r.detail.includes('longest time')), ends.map((r) => r.detail).join('; '));
    return ends[0].detail;
  });
} catch (err) {
  faults.push(err.stack ?? String(err));
  await page.screenshot({ path: `${album.folder}/failed-talk.png` }).catch(() => {});
  if (second) await second.screenshot({ path: `${album.folder}/failed-talk-other.png` }).catch(() => {});
} finally {
  await browser.close();
  await refusing.close();
}
for (const f of faults) console.log(f);
process.exit(faults.length ? 1 : 0);
