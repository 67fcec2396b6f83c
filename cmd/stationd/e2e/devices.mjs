// From a device that turns up by itself to its answered alarm, at a real station
// whose devices speak real MQTT. Run by TestBrowserDevices.
import { readFile } from 'node:fs/promises';
import { openBrowser, openPage, until } from './browser.mjs';
import { check, claim, go, logIn, setUp, steps } from './officer.mjs';
import { openAlbum } from './pictures.mjs';
import * as rig from './rig.mjs';

const officer = { account: 'zhangsan', name: '张三', password: '南门 雨伞 四十二 米' };
const onlooker = { account: 'wangwu', name: '王五', password: '东街 铜锁 九十一 号', role: 'viewer' };
const people = [{ name: '王桂芳', phone: '13855551234' }, { name: '王建国', phone: '13955555678' }];
const given = {
  smoke: { name: '厨房烟感', place: '3号楼 1202 室 · 厨房' }, manhole: { name: '南门井盖', place: '南门 · 人行道' }, gas: { name: '食堂燃气', place: '社区食堂 · 后厨' },
  temperature: { name: '配电房温度', place: '配电房 · 2 号柜' }, water: { name: '地库水浸', place: '地下车库 · 东侧集水井' },
};

const facts = await rig.facts();
const faults = [];
const album = await openAlbum(faults);
album.typed = [
  ...facts.units.flatMap((u) => [u.id, u.family]), ...Object.values(given).flatMap((g) => [g.name, g.place]), ...people.map((p) => p.name), facts.station.name, officer.name,
  '1202 室', '3号楼', '12 层', '街道平台', '值班长', '副站长', '大厅屏', 'sim',
].sort((a, b) => b.length - a.length);
const browser = await openBrowser();
const step = steps();
const unit = Object.fromEntries(facts.units.map((u) => [u.class, u]));
let page;

try {
  const desk = await openPage(browser, 'station', faults);
  page = desk;
  const station = rig.api(desk, facts.station.url);
  const sensorsNow = async () => (await station.get('/sensors')).sensors;
  const byFamily = async (family) => (await sensorsNow()).find((r) => r.sensor.source.family === family);
  const ids = {}; // the station's own, by class
  const device = async (cls) => {
    await go(desk, 'sensors');
    await desk.getByTestId('sensor-link').filter({ hasText: given[cls].name }).click();
    await desk.getByTestId('sensor-page').waitFor();
  };

  await step('a station is claimed; its devices get an account', async () => {
    await claim(desk, facts.station.claim, officer);
    await rig.openLine(await station.put('/devices/estate', {}));
  });

  await step('while the window is closed a stranger that endangers nobody stays out', async () => {
    await rig.say(unit.temperature.id);
    check((await sensorsNow()).length === 0, `there is ${JSON.stringify(await sensorsNow())}`);
    await setUp(desk, 'workbench');
    await desk.getByTestId('bench-topic').filter({ hasText: unit.temperature.id }).waitFor();
  });

  await step('the window is opened; five devices of five families turn up by themselves', async () => {
    await setUp(desk, 'joining');
    await desk.getByTestId('joining-15').click();
    await until('the time that is left', 5, async () => /^1[45]:/.test(await desk.getByTestId('joining-left').innerText()));
    await rig.say(unit.temperature.id);
    for (const cls of ['smoke', 'manhole', 'gas', 'water']) await rig.say(unit[cls].id);
    await until('five wait for a name', 15, async () => (await desk.getByTestId('stranger').count()) === 5);
    await album.take(desk, 'real-joining', { few: true });
  });

  await step('each is taken in with a name and a place', async () => {
    for (const [cls, words] of Object.entries(given)) {
      const { sensor } = await byFamily(unit[cls].family);
      ids[cls] = sensor.id;
      check(sensor.class === cls, `${unit[cls].family}: ${sensor.class} is proposed instead of ${cls}`);
      await desk.getByTestId('stranger').filter({ hasText: `${unit[cls].family} ·` }).getByTestId('adopt').click();
      const dialog = desk.getByTestId('adopt-dialog');
      await dialog.locator('[name=name]').fill(words.name);
      await dialog.locator('[name=place]').fill(words.place);
      if (cls === 'smoke') await dialog.locator('[name=important]').check();
      await dialog.locator('button[type=submit]').click();
      await dialog.waitFor({ state: 'detached' });
    }
    await until('nobody waits', 5, async () => (await desk.getByTestId('stranger').count()) === 0);
    await desk.getByTestId('joining-close').click();
    await desk.getByTestId('joining-15').waitFor();
    const rows = (await sensorsNow()).map((r) => r.sensor);
    check(rows.length === 5 && rows.every((s) => s.adopted && given[s.class].name === s.name && given[s.class].place === s.place), `kept are ${JSON.stringify(rows)}`);
    check(rows.find((s) => s.class === 'smoke').important === true, 'what is important is forgotten');
  });

  await step('the people behind the smoke detector are written down', async () => {
    await device('smoke');
    await desk.getByTestId('people-edit').click();
    const dialog = desk.getByTestId('people-dialog');
    await dialog.locator('[name=flat]').fill('1202 室');
    await dialog.getByRole('button', { name: '再加一人' }).click();
    for (const [i, p] of people.entries()) {
      const row = dialog.locator('.personrow').nth(i);
      await row.getByLabel('姓名').fill(p.name);
      await row.getByLabel('电话').fill(p.phone);
    }
    await dialog.locator('button[type=submit]').click();
    await dialog.waitFor({ state: 'detached' });
    const card = desk.getByTestId('sensor-people');
    for (const word of ['1202 室', '138 5555 1234', '王建国']) await card.getByText(word).waitFor();
  });

  await step('a plan gets its picture; the smoke detector its spot', async () => {
    const drawing = await desk.context().newPage();
    await drawing.setViewportSize({ width: 800, height: 500 });
    await drawing.setContent('<body style="margin:0"><svg width="800" height="500"><rect width="800" height="500" fill="#f4f1ea"/><g fill="none" stroke="#3d4650" stroke-width="6"><rect x="30" y="30" width="740" height="440"/><path d="M30 240h740M280 30v210M520 30v210M400 240v230"/></g></svg>');
    const picture = await drawing.screenshot();
    await drawing.close();
    await setUp(desk, 'plans');
    await desk.getByTestId('plan-add').click();
    const dialog = desk.getByTestId('plan-dialog');
    await dialog.locator('[name=name]').fill('3号楼');
    await dialog.locator('[name=floor]').fill('12 层');
    await dialog.locator('[name=picture]').setInputFiles({ name: 'plan.png', mimeType: 'image/png', buffer: picture });
    await dialog.locator('button[type=submit]').click();
    await dialog.waitFor({ state: 'detached' });
    const plan = desk.getByTestId('planner');
    await plan.locator('image').waitFor();
    await desk.getByTestId('loose').getByRole('button', { name: given.smoke.name }).click();
    const box = await plan.locator('image').boundingBox();
    await desk.mouse.click(box.x + box.width * 0.3, box.y + box.height * 0.25);
    await plan.locator(`[data-mark="sensor/${ids.smoke}"]`).waitFor();
    const at = await until('it is kept', 5, async () => (await byFamily('zigbee2mqtt')).sensor.position);
    check(Math.abs(at.x - 0.3) < 0.03 && Math.abs(at.y - 0.25) < 0.05, `it stands at ${JSON.stringify(at)}`);
    await album.take(desk, 'real-plan', { few: true });
  });

  await step('who is told, set up; an account that only looks on', async () => {
    await station.put('/channels/system', { id: 'system', name: '街道平台', kind: 'webhook', url: rig.system, always: ['critical'] });
    await station.put('/contacts/first', { id: 'first', name: '值班长', channels: [{ channel: 'system' }], order: 1, waitSeconds: 600 });
    await station.put('/contacts/second', { id: 'second', name: '副站长', channels: [{ channel: 'system' }], order: 2, waitSeconds: 600 });
    await station.put('/hours', { escalate: ['critical', 'major'], deskSeconds: 0, parentSeconds: 60 });
    await station.put(`/accounts/${onlooker.account}`, onlooker);
  });

  const title = desk.getByTestId('alarm');
  let id;
  await step('its alarm: what, where, the plan with the dot, the people, the steps, who is told and who is next', async () => {
    await go(desk, 'desk');
    await rig.say(unit.smoke.id, { alarm: 1 });
    await desk.locator('[data-testid=alarm][data-state=raised]').waitFor();
    id = await title.getAttribute('data-alarm');
    check((await desk.getByTestId('alarm-title').innerText()) === '烟感报警', 'it is called otherwise');
    check((await title.innerText()).includes(given.smoke.place), 'the place is not named');
    await desk.locator('[data-testid=spot] .mark.here.live').waitFor();
    const persons = desk.getByTestId('person');
    await until('two people', 5, async () => (await persons.count()) === 2);
    check((await persons.first().innerText()).includes('138 5555 1234'), `the telephone is ${await persons.first().innerText()}`);
    check((await desk.locator('.steps').innerText()).includes('119'), 'the step card does not name 119');
    await desk.getByTestId('no-camera').waitFor();
    await desk.locator('.told dl > div').filter({ hasText: '值班长' }).filter({ hasText: '送达' }).waitFor();
    check((await desk.getByTestId('next-contact').innerText()).includes('副站长'), 'who is next is not said');
    const left = await desk.getByTestId('countdown').innerText();
    check(/^0?9:|^10:/.test(left), `the countdown stands at ${left}`);
    await until('it goes on', 5, async () => (await desk.getByTestId('countdown').innerText()) < left || left.startsWith('10'));
    const heard = await until('the other system was told', 10, async () => ((await rig.heard()).some((x) => x.includes(id)) ? rig.heard() : null));
    check(!heard.some((x) => x.includes('13855551234')), 'a telephone number went outside');
    await album.take(desk, 'real-alarm', { desk: true });
  });

  await step('who only looks on sees the people masked, and answers nothing', async () => {
    const other = await openPage(browser, 'onlooker', faults);
    await logIn(other, facts.station.url, onlooker);
    await other.locator(`[data-testid=alarm][data-alarm="${id}"]`).waitFor();
    await other.getByTestId('person').first().waitFor();
    const text = await other.getByTestId('people').innerText();
    check(text.includes('*') && !text.includes('5555') && !text.includes('王桂芳'), `unmasked: ${text}`);
    check((await other.getByTestId('answer-received').count()) === 0 && (await other.getByTestId('take').count()) === 0, 'it may answer');
    await other.context().close();
  });

  await step('it is taken, a call is logged, a note written', async () => {
    await desk.keyboard.press('t');
    await desk.locator('[data-testid=take][aria-pressed=true]').waitFor();
    await desk.keyboard.press('c');
    const call = desk.getByTestId('call-form');
    check((await call.locator('[name=to]').inputValue()).includes(people[0].name), 'the first person is not proposed');
    await call.locator('[name=note]').fill('油烟');
    await call.getByTestId('call-form-reached').click();
    await call.waitFor({ state: 'detached' });
    await desk.keyboard.press('n');
    await desk.getByTestId('note-form').locator('input').fill('楼组长已上门');
    await desk.keyboard.press('Enter');
    await desk.getByTestId('note-form').waitFor({ state: 'detached' });
    const told = desk.locator('.told dl');
    for (const word of ['本人 王', '油烟', '楼组长已上门']) await until(`the log says ${word}`, 10, async () => (await told.innerText()).includes(word));
    check((await desk.locator('[data-testid=alarm][data-state=raised]').count()) === 1, 'taking, ringing and writing are no answer');
  });

  await step('收到, normal again, 误报: it is over', async () => {
    await desk.keyboard.press('Space');
    await desk.locator('[data-testid=alarm][data-state=acknowledged]').waitFor();
    await desk.getByTestId('next-contact').waitFor({ state: 'detached' });
    await rig.say(unit.smoke.id);
    await until('it is normal', 10, async () => (await title.innerText()).includes('起已正常'));
    check((await title.getAttribute('data-state')) === 'acknowledged', 'it is over before anybody has judged it');
    await desk.keyboard.press('2');
    await desk.locator('[data-testid=alarm][data-state=cleared]').waitFor();
    const detail = await station.get(`/alarms/${id}`);
    check(detail.alarm.answers.map((a) => a.kind).join(' ') === 'received false', `kept are ${JSON.stringify(detail.alarm.answers)}`);
    check(detail.response.calls.length === 1 && detail.alarm.notes.length === 1 && detail.response.stopped === 'answered', `kept is ${JSON.stringify(detail.response)}`);
    await desk.keyboard.press('Escape');
    await desk.getByTestId('quiet').waitFor();
  });

  await step('an open manhole is put on the shelf and comes back from it', async () => {
    await rig.say(unit.manhole.id, { alarm: 1 });
    await desk.locator('[data-testid=alarm][data-state=raised]').waitFor();
    await desk.keyboard.press('s');
    await desk.getByTestId('shelf-form').locator('[name=why]').fill('市政在施工');
    await desk.keyboard.press('Enter');
    await desk.getByTestId('queue-shelved').filter({ hasText: '市政在施工' }).click();
    await desk.getByTestId('unshelve').click();
    await desk.getByTestId('queue-shelved').waitFor({ state: 'detached' });
    check((await station.get('/alarms?live=1')).alarms.length === 1, 'it has not come back');
    await rig.say(unit.manhole.id);
    await until('it is over', 20, async () => (await station.get('/alarms?live=1')).alarms.length === 0);
    await desk.keyboard.press('Escape');
  });

  await step('in maintenance a device says what it likes; in test its alarm is marked', async () => {
    const service = async (cls, mode) => {
      await device(cls);
      await desk.getByTestId('service-begin').click();
      await desk.getByTestId('service').locator('[name=mode]').selectOption(mode);
      await desk.getByTestId('service').locator('button[type=submit]').click();
      await desk.getByTestId('service-end').waitFor();
    };
    await service('manhole', 'maintenance');
    await rig.say(unit.manhole.id, { alarm: 1 });
    await until('it was heard', 10, async () => (await byFamily('chirpstack')).state.values.manhole === true);
    check((await station.get('/alarms?live=1')).alarms.length === 0, 'a device in maintenance alarms');
    await rig.say(unit.manhole.id);
    await until('it is normal', 10, async () => (await station.get('/alarms?live=1&hidden=1')).alarms.length === 0);
    await desk.getByTestId('service-end').click();
    await desk.getByTestId('service-begin').waitFor();

    await service('gas', 'test');
    const before = (await rig.heard()).length;
    await go(desk, 'desk');
    await rig.say(unit.gas.id, { alarm: 1 });
    await desk.locator('[data-testid=alarm].test').waitFor();
    await until('it is marked', 5, async () => (await title.innerText()).includes('测试'));
    await rig.say(unit.gas.id);
    await desk.getByTestId('answer-test').click();
    await until('it is over', 15, async () => (await station.get('/alarms?live=1')).alarms.length === 0);
    check((await rig.heard()).length === before, 'a test went outside');
    await device('gas');
    await desk.getByTestId('service-end').click();
    await desk.getByTestId('service-begin').waitFor();
  });

  await step('the charts of a device show what it said; a rule is tried on it before it goes live', async () => {
    for (const value of [0.1, 0.5, 2.5, 2.5, 0.2]) await rig.say(unit.temperature.id, { value });
    await device('temperature');
    await desk.locator('[data-testid=chart] canvas').first().waitFor();
    const chart = await until('from the coldest to the hottest', 20, async () => {
      const text = await desk.getByTestId('history').innerText();
      return text.includes('72') ? text : null;
    });
    check(chart.includes('温度'), `the chart says ${chart}`);
    await desk.getByTestId('sensor-edit').click();
    const dialog = desk.getByTestId('sensor-dialog');
    await dialog.getByRole('radio', { name: '自己定' }).click();
    const form = dialog.getByTestId('rule-form').first();
    await form.getByTestId('trial').click();
    const said = await form.getByTestId('trial-said').innerText();
    check(/会报 [1-9]\d* 次/.test(said), `the trial says ${said}`);
    await album.one(desk, 'real-rule', 'zh', { width: 1366, height: 768 });
    await dialog.locator('button[type=submit]').click();
    await dialog.waitFor({ state: 'detached' });
    check((await byFamily('tasmota')).sensor.rules.length === 1, 'the rule is not kept');
    return said;
  });

  await step('many alarms are answered at once', async () => {
    await go(desk, 'desk');
    await rig.say(unit.temperature.id, { value: 2.5 });
    for (const cls of ['smoke', 'manhole', 'gas', 'water']) await rig.say(unit[cls].id, { alarm: 1 });
    await until('five alarms', 15, async () => (await desk.getByTestId('queue-item').count()) === 5);
    await desk.getByTestId('pick').click();
    await desk.getByTestId('pick-all').click();
    await desk.getByTestId('bulk-received').click();
    await until('all are answered', 15, async () => (await station.get('/alarms?live=1')).alarms.every((a) => a.state === 'acknowledged'));
    await until('the desk says so', 10, async () => (await desk.locator('[data-testid=queue-item].live').count()) === 0);
    await rig.say(unit.temperature.id, { value: 0.1 });
    for (const cls of ['smoke', 'manhole', 'gas', 'water']) await rig.say(unit[cls].id);
    await until('what endangers nobody is over', 20, async () => (await desk.getByTestId('queue-item').count()) === 3);
    await desk.keyboard.press('x');
    await desk.getByTestId('pick-all').click();
    await desk.getByTestId('bulk-false').click();
    await until('all are judged', 15, async () => (await station.get('/alarms?live=1')).alarms.length === 0);
  });

  await step('the performance page counts them', async () => {
    await go(desk, 'records');
    await desk.getByTestId('nav-performance').click();
    await desk.getByTestId('performance').waitFor();
    await desk.getByTestId('top').getByText(given.smoke.name).waitFor();
    const total = (await station.get('/performance')).total;
    check(total >= 7, `${total} alarms are counted`);
    check((await desk.locator('.figures').innerText()).includes(String(total)), 'the page shows another number');
    return `${total} alarms`;
  });

  await step('the workbench: raw messages, and what the families make of them', async () => {
    await setUp(desk, 'workbench');
    await desk.getByTestId('bench-topic').filter({ hasText: '/event/up' }).first().click();
    await desk.getByTestId('bench-families').getByText('chirpstack', { exact: true }).waitFor();
    check((await desk.locator('.benchmain pre').innerText()).includes('deduplicationId'), 'the raw message is not shown');
    await album.take(desk, 'real-workbench', { few: true });
  });

  await step('the sensors as a table, out, changed, and in again', async () => {
    await setUp(desk, 'import');
    const [file] = await Promise.all([desk.waitForEvent('download'), desk.getByTestId('export').click()]);
    const table = await readFile(await file.path(), 'utf8');
    for (const g of Object.values(given)) check(table.includes(g.name), `${g.name} is not in the table`);
    const choose = (text) => desk.getByTestId('import-file').setInputFiles({ name: 'sensors.csv', mimeType: 'text/csv', buffer: Buffer.from(text) });
    await choose(table);
    const report = desk.getByTestId('import-report');
    // The line with people counts as one that writes: they are sealed, and not compared.
    check((await report.innerText()).includes('新增 0，修改 1，不变 4'), `what came out goes in as ${await report.innerText()}`);
    await choose(table.replace(',manhole,', ',manholes,'));
    await desk.getByTestId('import-lines').waitFor();
    check((await desk.getByTestId('import-apply').count()) === 0, 'a table with a fault can be taken in');
    await choose(table.replace(given.manhole.place, '北门 · 人行道'));
    await desk.getByTestId('import-apply').click();
    await until('it is taken in', 10, async () => (await byFamily('chirpstack')).sensor.place === '北门 · 人行道');
    await station.get('/sensors');
  });

  await step('a display is armed; its link opens once, and it answers for who is on duty', async () => {
    await setUp(desk, 'displays');
    await desk.getByTestId('display-form').locator('[name=name]').fill('大厅屏');
    await desk.getByTestId('display-form').locator('button[type=submit]').click();
    const link = await desk.getByTestId('display-link').locator('code').innerText();
    const wall = await openPage(browser, 'display', faults);
    await wall.goto(link);
    await wall.locator('.desk').waitFor();
    check((await wall.getByTestId('nav-setup').count()) === 0, 'a display may set up the station');
    await rig.say(unit.smoke.id, { alarm: 1 });
    await wall.locator('[data-testid=alarm][data-state=raised]').waitFor();
    await wall.getByTestId('answer-received').click();
    await wall.locator('[data-testid=alarm][data-state=acknowledged]').waitFor();
    const answer = (await station.get('/alarms?live=1')).alarms.flatMap((a) => a.answers ?? []).at(-1);
    check(JSON.stringify(answer).includes('大厅屏'), `the answer is ${JSON.stringify(answer)}`);
    await album.take(wall, 'real-display', { few: true });
    await wall.context().close();
  });
} catch (err) {
  faults.push(`failed: ${err.stack ?? err}`);
  await page?.screenshot({ path: `${album.folder}/failed-devices.png` }).catch(() => {});
}
await browser.close();
console.log(`${album.taken} pictures in ${album.folder}`);
for (const f of [...new Set(faults)]) console.error(f);
process.exit(faults.length ? 1 : 0);
