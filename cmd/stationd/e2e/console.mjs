// A duty officer's first day at a station, and one at its centre, in a browser.
// Run by TestBrowser, which has both nodes, cameras and sensors running.
import { openBrowser, openPage, plays, until, decoded } from './browser.mjs';
import { openAlbum, speak } from './pictures.mjs';
import * as rig from './rig.mjs';

const officer = { account: 'zhangsan', name: '张三', password: '南门 雨伞 四十二 米' };
const chief = { account: 'lisi', name: '李四', password: '北坡 茶壶 十七 灯' };
const smoke = 'smoke-3-1202';
const stranger = 'door-roof';
const longName = '17 号楼地下二层东北角消防水泵房湿式报警阀间可燃气体探测器（二〇二六年九月更换）';
const longPlace = '幸福里小区三期（原第三纺织厂职工宿舍）17 号楼 3 单元地下二层东北角消防水泵房湿式报警阀间';

const facts = await rig.facts();
const faults = [];
const album = await openAlbum(faults);
album.typed = [
  '一片区', '王芳', '今晚有暴雨，请检查井盖',
  ...facts.cameras.map((c) => c.title), ...facts.sensors.flatMap((s) => [s.name, s.place, s.id]), longName, longPlace, officer.name, chief.name,
  officer.account, chief.account, 'zhangsan', 'Zigbee2MQTT zigbee2mqtt', '电梯口到 1206 室门前', '电梯口到', facts.station.name, facts.centre.name, 'gateway-1', '王桂芳', '王建国', '本人 王桂芳', '本人 王*', '1202 室', '3号楼平面', '12 层', '油烟，已开窗', '屋顶门磁', '5号楼 屋顶', '夜里门口灯不亮', '一号席',
].filter(Boolean).sort((a, b) => b.length - a.length);
const browser = await openBrowser();
const began = Date.now();
let page; // the one that is at work, for the picture of a failure

async function step(name, work) {
  const from = Date.now();
  const said = await work();
  console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${name}${said ? `: ${said}` : ''} (${((Date.now() - from) / 1000).toFixed(1)} s)`);
}

function check(holds, what) {
  if (!holds) throw new Error(what);
}

/** The name of a simulated sensor. */
const named = (id) => facts.sensors.find((s) => s.id === id).name;

/** A floor plan as a picture file. */
async function drawPlan(p) {
  const url = await p.evaluate(() => {
    const c = document.createElement('canvas');
    [c.width, c.height] = [800, 450];
    const at = c.getContext('2d');
    at.fillStyle = '#fdfcf8';
    at.fillRect(0, 0, 800, 450);
    at.strokeStyle = '#8a867c';
    at.lineWidth = 3;
    for (let i = 0; i < 4; i++) for (const y of [10, 260]) at.strokeRect(10 + i * 197, y, 187, 180);
    return c.toDataURL('image/png');
  });
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}

const go = async (p, name) => {
  await p.getByTestId(`nav-${name}`).click();
  await p.waitForFunction((n) => location.hash.startsWith(`#/${n}`), name);
};
const menu = async (p, item) => {
  await p.getByTestId('menu').click();
  await p.getByTestId(item).click();
};

async function claim(p, link, who) {
  await p.goto(link);
  const form = p.getByTestId('claim-form');
  await form.waitFor();
  check((await form.locator('[name=code]').inputValue()) !== '', 'the link does not fill in the code');
  check(!p.url().includes('claim='), 'the code stays in the address');
  return async () => {
    for (const field of ['account', 'name', 'password']) await form.locator(`[name=${field}]`).fill(who[field]);
    await form.locator('[name=again]').fill(who.password);
    await form.locator('button[type=submit]').click();
    await p.locator('.desk').waitFor();
  };
}

try {
  const desk = await openPage(browser, 'station', faults);
  page = desk;
  const station = rig.api(desk, facts.station.url);

  await step('the link that the station prints, the claim form, the desk', async () => {
    const fill = await claim(desk, facts.station.claim, officer);
    await album.take(desk, 'claim');
    await fill();
    await desk.getByTestId('quiet').waitFor();
  });

  await step('log out, log in with the password', async () => {
    await menu(desk, 'logout');
    const form = desk.getByTestId('login-form');
    await form.waitFor();
    check((await desk.context().cookies()).every((c) => !c.value), 'a session is left after logging out');
    await album.take(desk, 'login');
    await form.locator('[name=account]').fill(officer.account);
    await form.locator('[name=password]').fill(officer.password);
    await form.locator('button[type=submit]').click();
    await desk.getByTestId('quiet').waitFor();
  });

  let first; // the camera that is added by hand
  await step('a camera is added in the dialog, the others by the API', async () => {
    await go(desk, 'cameras');
    await album.take(desk, 'cameras-none');
    const [mine, ...others] = facts.cameras;
    await desk.getByTestId('camera-add').click();
    const dialog = desk.getByTestId('camera-dialog');
    await dialog.locator('[name=name]').fill(mine.title);
    await dialog.locator('[name=place]').fill('电梯口到 1206 室门前');
    await dialog.locator('[name=url]').fill(mine.url);
    await dialog.locator('button[type=submit]').click();
    await dialog.waitFor({ state: 'detached' });
    await plays('the camera that was just added', desk.getByTestId('camera-tile').locator('video'));
    for (const c of others) await station.put(`/cameras/${c.name}`, { id: c.name, name: c.title, place: c.title, url: c.url, record: true });
    first = (await station.get('/cameras')).cameras.find((c) => c.camera.name === mine.title).camera.id;
  });

  await step('all cameras play live', async () => {
    const tiles = desk.getByTestId('camera-tile').locator('video');
    await until('four tiles', 10, async () => (await tiles.count()) === facts.cameras.length);
    const all = await Promise.all(facts.cameras.map((c, i) => plays(c.title, tiles.nth(i), 50)));
    await album.take(desk, 'cameras');
    return all.map((v) => `${v.frames} (${v.dropped} dropped)`).join(', ');
  });

  await step('an account for the gateway; the sensors report', async () => {
    await go(desk, 'health');
    await desk.getByTestId('device-add').click();
    await desk.getByTestId('device-dialog').locator('[name=username]').fill('gateway-1');
    await desk.getByTestId('device-dialog').locator('button[type=submit]').click();
    const password = await desk.getByTestId('device-password').textContent();
    await desk.getByTestId('device-credential').getByRole('button').last().click();
    // One device is not registered: it turns up by itself and waits for a name.
    for (const s of facts.sensors.filter((x) => x.id !== stranger)) {
      const long = s.id === 'gas-canteen' ? { name: longName, place: longPlace } : {};
      await station.put(`/sensors/${s.id}`, { ...s, ...long, cameras: s.id === smoke ? [first] : s.id === 'gas-canteen' ? ['garage', 'gate', 'manhole'] : s.id === 'manhole-gate' ? ['manhole'] : [] });
    }
    await station.post('/joining', { minutes: 10 });
    await rig.startSensors({ username: 'gateway-1', password });
    await go(desk, 'sensors');
    await until('every sensor has reported', 20, async () => {
      const heard = (await station.get('/sensors')).sensors.filter((s) => s.state && new Date(s.state.lastSeen).getFullYear() > 2000).map((s) => s.sensor.id);
      return facts.sensors.every((s) => s.id === stranger || heard.includes(s.id));
    });
    await until('the device that nobody has registered turns up', 10, async () => (await station.get('/sensors')).sensors.some((s) => !s.sensor.adopted && s.sensor.source.topic.endsWith(stranger)));
  });

  await step('people are written down; a plan is drawn, and the sensor placed on it by keyboard', async () => {
    await desk.getByTestId('sensor-link').filter({ hasText: named(smoke) }).first().click();
    await desk.getByTestId('people-edit').click();
    const form = desk.getByTestId('people-dialog');
    await form.locator('[name=flat]').fill('1202 室');
    const row = form.locator('.personrow').first();
    await row.locator('input').nth(0).fill('王桂芳');
    await row.locator('input').nth(1).fill('13855551234');
    await form.locator('button[type=submit]').click();
    await desk.getByTestId('sensor-people').filter({ hasText: '138 5555 1234' }).waitFor();
    await go(desk, 'setup');
    await desk.getByTestId('setup-plans').click();
    await desk.getByTestId('plan-add').click();
    const plan = desk.getByTestId('plan-dialog');
    await plan.locator('[name=name]').fill('3号楼平面');
    await plan.locator('[name=floor]').fill('12 层');
    await plan.locator('[name=picture]').setInputFiles({ name: 'floor.png', mimeType: 'image/png', buffer: await drawPlan(desk) });
    await plan.locator('button[type=submit]').click();
    await desk.locator('[data-testid=planner] svg').waitFor();
    await desk.getByTestId('loose').getByRole('button').filter({ hasText: named(smoke) }).focus();
    await desk.keyboard.press('Enter');
    await desk.locator(`[data-mark="sensor/${smoke}"]`).waitFor();
    await until('the station knows where it stands', 10, async () => {
      const at = (await station.get('/sensors')).sensors.find((s) => s.sensor.id === smoke).sensor.position;
      return at?.x === 0.5 && at.y === 0.5;
    });
    await album.take(desk, 'plans');
  });

  await step('a stranger is taken in while the window is open', async () => {
    await desk.getByTestId('setup-joining').click();
    await desk.getByTestId('joining-left').waitFor();
    await desk.getByTestId('stranger').filter({ hasText: stranger }).getByTestId('adopt').click();
    const form = desk.getByTestId('adopt-dialog');
    await form.locator('[name=name]').fill('屋顶门磁');
    await form.locator('[name=place]').fill('5号楼 屋顶');
    await form.locator('button[type=submit]').click();
    await form.waitFor({ state: 'detached' });
    await until('it is a sensor', 5, async () => (await station.get('/sensors')).sensors.some((s) => s.sensor.adopted && s.sensor.name === '屋顶门磁'));
    await desk.getByTestId('joining-close').click();
    await until('the window is closed', 5, async () => !(await station.get('/joining')).open);
  });

  await step('pages without an alarm', async () => {
    await go(desk, 'sensors');
    await album.take(desk, 'sensors');
    await go(desk, 'records');
    await album.take(desk, 'records-none');
    await go(desk, 'desk');
    await plays('the wall', desk.locator('.wall video').first());
    await album.take(desk, 'desk-quiet', { night: true, desk: true });
  });

  const title = desk.getByTestId('alarm');
  let id;
  await step('an alarm appears without reload', async () => {
    await desk.evaluate(() => (window.neverReloaded = true));
    const answer = await rig.alarm(smoke);
    await desk.locator('[data-testid=alarm][data-state=raised]').waitFor({ timeout: 2_000 });
    const shown = Date.now();
    id = await title.getAttribute('data-alarm');
    check((await desk.getByTestId('alarm-title').textContent()) === '烟感报警', 'the alarm is called otherwise');
    check(await desk.evaluate(() => window.neverReloaded), 'the page was loaded anew');
    check((await desk.title()).startsWith('● 烟感报警'), 'the window title does not tell');
    return `${shown - answer.publishedAt} ms after the sensor spoke`;
  });

  await step('its camera plays live; the film is pending', async () => {
    await desk.getByTestId('clip-pending').waitFor();
    const v = await plays('the live picture', desk.getByTestId('live-video').locator('video'), 50);
    await album.take(desk, 'desk-pending', { desk: true });
    return `${v.frames} pictures, ${v.dropped} dropped`;
  });

  await step('the centre has it', () => desk.locator('[data-testid=centre-received][data-received=true]').waitFor());

  const film = desk.getByTestId('clip-video');
  await step('the film is made and plays', async () => {
    await film.waitFor({ timeout: 40_000 });
    await until('its length', 10, () => film.evaluate((v) => v.duration > 20 && v.readyState >= 2));
    const still = await decoded(film);
    await album.take(desk, 'desk-one', { night: true, desk: true });
    await desk.locator('figure.clip .play').click();
    const v = await plays('the film', film, 50);
    check(v.at > 1 && v.at !== still.at, `the film stands at ${v.at} s`);
    await desk.locator('figure.clip .play').click();
    await until('it pauses', 5, () => film.evaluate((x) => x.paused));
    return `${await film.evaluate((x) => x.duration.toFixed(1))} s, ${v.frames} pictures`;
  });

  await step('收到 with the space bar, 误报, undo, 真警', async () => {
    // The film was just played and paused with the mouse: the space bar is 收到 all the same.
    await desk.keyboard.press('Space');
    await desk.locator('[data-testid=alarm][data-state=acknowledged]').waitFor();
    await until('the button says who', 5, async () => (await desk.getByTestId('answer-received').textContent()).includes(officer.name));
    const pressed = (kind) => desk.locator(`[data-testid=answer-${kind}][aria-pressed=true]`);
    await desk.keyboard.press('2');
    await pressed('false').waitFor();
    await desk.keyboard.press('z');
    await pressed('false').waitFor({ state: 'detached' });
    await desk.keyboard.press('1');
    await pressed('real').waitFor();
    const told = await desk.locator('.told dl > div').allInnerTexts();
    for (const word of ['收到', '误报', '真警']) check(told.some((l) => l.includes(word) && l.includes(officer.name)), `the log does not say who said ${word}: ${told}`);
    await desk.keyboard.press('t');
    await until('it is in hand', 5, async () => (await desk.getByTestId('take').innerText()).includes('我在处理'));
    await desk.getByTestId('call').first().click();
    await desk.getByTestId('call-reached').click();
    await until('the call is logged', 5, async () => (await desk.getByTestId('call').first().innerText()).includes('接通'));
    await desk.keyboard.press('n');
    await desk.getByTestId('note-form').locator('input').fill('油烟，已开窗');
    await desk.keyboard.press('Enter');
    await desk.locator('.told dd').filter({ hasText: '油烟，已开窗' }).waitFor();
    await desk.locator('[data-testid=spot] .mark.here').waitFor();
    const view = await station.get(`/alarms/${id}`);
    check(view.response.calls[0].to === '本人 王*' && view.response.calls[0].reached, `the call is ${JSON.stringify(view.response.calls)}`);
    check(view.alarm.takenBy.by === officer.account, 'it is in nobody’s hand');
    const answers = view.alarm.answers;
    check(answers.map((a) => `${a.kind}${a.undone ? '*' : ''}`).join(' ') === 'received false* real', `kept are ${JSON.stringify(answers)}`);
    check(answers.every((a) => a.by === officer.account && a.name === officer.name), 'an answer without its officer');
    await album.take(desk, 'desk-answered', { desk: true });
  });

  await step('the language, there and back', async () => {
    await speak(desk, 'en');
    check((await desk.getByTestId('alarm-title').textContent()) === 'Smoke alarm', 'the alarm is not in English');
    await desk.reload();
    await desk.getByTestId('alarm-title').waitFor();
    check((await desk.getByTestId('alarm-title').textContent()) === 'Smoke alarm', 'the language is forgotten');
    await speak(desk, 'zh');
    check((await desk.getByTestId('alarm-title').textContent()) === '烟感报警', 'the alarm is not in Chinese');
  });

  await step('five more alarms', async () => {
    for (const s of ['water-garage', 'manhole-gate', 'smoke-5-stairs', 'sos-7-101', 'gas-canteen']) await rig.alarm(s);
    await until('five happen, one waits', 5, async () => (await desk.getByTestId('queue-item').count()) === 6);
    await desk.getByTestId('queue-item').filter({ hasText: '燃气' }).click();
    await plays('the live picture', desk.getByTestId('live-video').locator('video'));
    await album.take(desk, 'desk-five', { night: true, desk: true });
  });

  const town = await openPage(browser, 'centre', faults);
  page = town;
  const centre = rig.api(town, facts.centre.url);
  await step('the centre is claimed and shows the same alarm with the station’s name', async () => {
    await (await claim(town, facts.centre.claim, chief))();
    const item = town.locator(`[data-testid=queue-item][data-alarm="${id}"]`);
    await item.waitFor();
    await item.click();
    await town.locator(`[data-testid=alarm][data-alarm="${id}"]`).waitFor();
    check((await town.locator('.title .from').textContent()) === facts.station.name, 'the station is not named');
    const told = await town.locator('.told dl').innerText();
    check(told.includes('真警') && told.includes(officer.name), `the officer’s answers have not come up: ${told}`);
    check((await town.getByTestId('answer-elsewhere').innerText()).includes(facts.station.name), 'it is not said who answers');
  });

  await step('the station’s camera plays at the centre, through the relay', async () => {
    const v = await plays('the live picture at the centre', town.getByTestId('live-video').locator('video'), 50, 30);
    return `${v.frames} pictures, ${v.dropped} dropped`;
  });

  await step('the film plays at the centre', async () => {
    const clip = town.getByTestId('clip-video');
    await clip.waitFor({ timeout: 30_000 });
    await town.locator('figure.clip .play').click();
    const v = await plays('the film at the centre', clip, 50);
    check(v.at > 1, `the film stands at ${v.at} s`);
    await album.take(town, 'centre-desk', { night: true, desk: true });
    return `${v.frames} pictures`;
  });

  await step('the centre’s other pages', async () => {
    await go(town, 'nodes');
    await town.locator('[data-testid=node-card][data-online=true]').waitFor();
    await album.take(town, 'nodes');
    await town.getByTestId('node-card').locator('a').first().click();
    await town.getByTestId('station-page').waitFor();
    await town.getByTestId('st-edit').click();
    const form = town.getByTestId('site-form');
    for (const [name, value] of [['area', '一片区'], ['contact', '王芳'], ['x', '40'], ['y', '30']]) await form.locator(`[name=${name}]`).fill(value);
    await form.locator('button[type=submit]').click();
    await form.waitFor({ state: 'detached' });
    const notice = town.getByTestId('st-notice');
    await notice.locator('[name=notice]').fill('今晚有暴雨，请检查井盖');
    await notice.locator('button[type=submit]').click();
    await town.locator('[data-testid=st-order][data-state=done]').waitFor({ timeout: 30_000 });
    await desk.getByTestId('broadcast-read').click({ timeout: 30_000 });
    await until('the centre hears who has read it', 30, async () => (await town.getByTestId('st-read').innerText()).includes(officer.name));
    await album.take(town, 'station-page');
    await go(town, 'nodes');
    await town.getByTestId('st-map').click();
    await town.locator('[data-site]').waitFor();
    await album.take(town, 'stations-map');
    await town.getByTestId('st-alarms').click();
    const row = town.locator(`[data-alarm="${id}"]`);
    await row.getByTestId('claim-take').click();
    await row.locator('[data-testid=claim][data-by]:not([data-by=""])').waitFor();
    await album.take(town, 'stations-alarms');
    await row.getByTestId('claim-free').click();
    await row.getByTestId('claim-take').waitFor();
    await town.getByTestId('st-uptime').click();
    await until('the station’s availability', 10, async () => (await town.getByTestId('uptimes').innerText()).includes('%'));
    await album.take(town, 'stations-uptime');
    await go(town, 'cameras');
    await until('the station’s cameras', 10, async () => (await town.getByTestId('camera-tile').count()) === facts.cameras.length);
    await plays('a called-up camera', town.getByTestId('camera-tile').locator('video').last(), 50, 30);
    await album.take(town, 'centre-cameras');
    await go(town, 'health');
    await album.take(town, 'centre-health');
    check((await centre.get('/nodes')).nodes.length === 1, 'there is not one station');
    await town.context().close();
    await desk.bringToFront();
  });

  page = desk;
  await step('what ends is over, what nobody has answered waits for an answer', async () => {
    for (const s of facts.sensors) await rig.normal(s.id);
    await until('the smoke alarm is over', 15, async () => (await station.get(`/alarms/${id}`)).alarm.state === 'cleared');
    const waiting = desk.locator('[data-testid=queue-item].live');
    await until('smoke, gas, water and the call for help wait', 15, async () => (await waiting.count()) === 4);
    for (let left = 3; left >= 0; left--) {
      await waiting.first().click();
      await desk.keyboard.press('3');
      await until(`${left} wait`, 5, async () => (await waiting.count()) === left);
    }
    await desk.keyboard.press('Escape');
    await desk.getByTestId('quiet').waitFor();
    await plays('the wall', desk.locator('.wall video').first());
    await album.take(desk, 'desk-over', { night: true, desk: true });
    await go(desk, 'records');
    await desk.getByTestId('record-row').first().waitFor();
    await album.take(desk, 'records');
    await desk.getByTestId('record-row').filter({ hasText: '3号楼 1202' }).click();
    await desk.getByTestId('clip-video').waitFor();
    await album.take(desk, 'record');
  });

  await step('the other pages', async () => {
    await go(desk, 'sensors');
    await album.take(desk, 'sensors-after');
    await desk.getByTestId('sensor-edit').first().click();
    await desk.getByTestId('sensor-dialog').waitFor();
    await desk.screenshot({ path: `${album.folder}/sensor-dialog.png` });
    await desk.keyboard.press('Escape');
    await desk.getByTestId('sensor-link').filter({ hasText: facts.sensors.find((s) => s.id === smoke).name }).first().click();
    await desk.getByTestId('sensor-values').waitFor();
    await desk.locator('[data-testid=chart] canvas').first().waitFor();
    await album.take(desk, 'device');
    await go(desk, 'records');
    await desk.getByTestId('nav-performance').click();
    await desk.getByTestId('top').locator('li').first().waitFor();
    await album.take(desk, 'performance');
    await go(desk, 'setup');
    await desk.getByTestId('setup-rules').click();
    await desk.getByTestId('rules-own').click();
    await desk.getByTestId('trial').first().click();
    await desk.getByTestId('trial-said').waitFor();
    await album.take(desk, 'rules');
    await desk.getByTestId('setup-workbench').click();
    await desk.getByTestId('bench-topic').filter({ hasText: smoke }).first().click();
    await desk.getByTestId('bench-families').locator('li').first().waitFor();
    await album.take(desk, 'workbench');
    await go(desk, 'sensors');
    await menu(desk, 'nav-accounts');
    await desk.getByTestId('account-row').first().waitFor();
    await album.take(desk, 'accounts');
    await menu(desk, 'nav-audit');
    await desk.getByTestId('audit-row').first().waitFor();
    await album.take(desk, 'audit');
    await go(desk, 'health');
    await album.take(desk, 'health');
  });

  await step('a camera is lost and the line is down', async () => {
    await rig.cutCamera(facts.cameras[0].name);
    await rig.killCentre();
    await until('both lamps', 30, async () => {
      const lamps = Object.fromEntries((await station.get('/status')).lamps.map((l) => [l.id, l.code]));
      return lamps.uplink === 'uplink.down' && lamps.cameras === 'cameras.lost';
    });
    await go(desk, 'desk');
    await desk.keyboard.press('Escape');
    await until('all is no longer called well', 5, async () => !(await desk.getByTestId('quiet').innerText()).includes('一切正常'));
    await album.take(desk, 'desk-quiet-lost', { desk: true });
    await rig.alarm(smoke);
    await desk.locator('[data-testid=alarm][data-state=raised]').waitFor();
    await until('the picture says so', 15, async () => (await desk.getByTestId('live-video').getAttribute('data-state')) === 'offline');
    await album.take(desk, 'desk-lost', { desk: true });
    await go(desk, 'health');
    await album.take(desk, 'health-lost');
  });
} catch (err) {
  faults.push(`failed: ${err.stack ?? err}`);
  await page?.screenshot({ path: `${album.folder}/failed.png` }).catch(() => {});
}
await browser.close();
console.log(`${album.taken} pictures in ${album.folder}`);
for (const f of [...new Set(faults)]) console.error(f);
process.exit(faults.length ? 1 : 0);
