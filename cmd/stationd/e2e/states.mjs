// The live-alarm page in all its states, and the desk around it, over a station
// that is played. Run by TestBrowserStates; alone it serves for looking:
// node states.mjs
import { openBrowser, openPage, until } from './browser.mjs';
import { openAlbum } from './pictures.mjs';
import { ago, alarmOf, estate, people, playCameras, playStation, smokeCard, timing } from './staged.mjs';

const faults = [];
const album = await openAlbum(faults);
const browser = await openBrowser();
const paths = ['/alarms/{id}/take', '/alarms/{id}/takeover', '/alarms/{id}/calls', '/alarms/{id}/notes', '/alarms/{id}/shelf', '/alarms/answers', '/plans', '/shift-notes', '/cards/{kind}'];
const stage = { world: estate(), paths };
const station = await playStation(stage);
const wanted = process.argv.slice(2);

/** Words that people typed in stay in any language. */
function typedWords(w) {
  album.typed = [
    ...w.sensors.flatMap((r) => [r.sensor.name, r.sensor.place, r.sensor.id]), ...w.cameras.map((c) => c.camera.name), ...w.plans.flatMap((p) => [p.name, p.floor]), ...w.notes.map((n) => n.text),
    ...people.list.flatMap((p) => [p.name, p.note]), people.flat, '1205 室', '本人 王桂芳', '子女 王建国', ...(w.typed ?? []), '示范村工作站', '张三', '李四', '王五', '副站长', '站长', '镇中心值班', '信息员甲', '2 号席', '居民自查', '住户说在炒菜', '油烟，已开窗', '工作群', '热水器漏水，等配件', 'HS1SA', '海曼', '演示', 'smoke-1202', 'JSON', 'POST', 'Zigbee2MQTT',
  ].filter(Boolean).sort((a, b) => b.length - a.length);
}

/** Shows one page of the console and takes its picture. */
async function page(name, hash, prepare, act, { night = false, few = false, one = false, none = false } = {}) {
  if (wanted.length && !wanted.some((w) => name.includes(w))) return;
  stage.world = estate();
  prepare(stage.world);
  typedWords(stage.world);
  const p = await openPage(browser, name, faults);
  try {
    await p.addInitScript(playCameras);
    await p.goto(`${station.url}/${hash}`);
    await act(p);
    if (none) return;
    if (one) await album.one(p, name, 'zh', { width: 1366, height: 768 }); // a dialog covers the language's switch
    else await album.take(p, name, { night, few });
  } catch (err) {
    faults.push(`${name}: ${err.stack ?? err}`);
    await p.screenshot({ path: `${album.folder}/failed-${name}.png` }).catch(() => {});
  } finally {
    await p.context().close();
  }
}

/** Shows a world anew on the desk and takes its picture. */
async function scene(name, prepare, { night = false, one = false, forgive, act } = {}) {
  if (wanted.length && !wanted.some((w) => name.includes(w))) return;
  stage.world = estate();
  const shown = prepare(stage.world);
  typedWords(stage.world);
  const own = [];
  const page = await openPage(browser, name, own);
  try {
    await page.addInitScript(playCameras);
    await page.goto(station.url);
    await page.getByTestId(shown ? 'alarm' : 'quiet').waitFor();
    if (shown && (await page.getByTestId('alarm').getAttribute('data-alarm')) !== shown.id) await page.locator(`[data-alarm="${shown.id}"]`).first().click();
    await until('the plan', 10, async () => (await page.locator('.planbox').count()) === (await page.locator('.planbox svg').count()));
    if (await page.getByTestId('live-video').count()) await page.locator('[data-testid=live-video][data-state=playing]').waitFor();
    await act?.(page);
    if (one) await album.one(page, name, 'zh', { width: 1366, height: 768 }, true);
    else await album.take(page, name, { night, desk: true });
  } catch (err) {
    faults.push(`${name}: ${err.stack ?? err}`);
    await page.screenshot({ path: `${album.folder}/failed-${name}.png` }).catch(() => {});
  }
  await page.context().close();
  faults.push(...own.filter((f) => !forgive?.test(f)));
}

const telling = (seconds, name, kind, state, more = {}) => ({ id: `${name}${seconds}`, name, kind, at: ago(seconds), state, ...more });

/** The whole page: plan, people, card, tellings, countdown. */
function full(w, seconds = 17, more = {}) {
  const alarm = alarmOf(w, 'smoke-1202', seconds, { clip: 'c1', ...more });
  Object.assign(w.details[alarm.id], {
    people, card: smokeCard, plan: w.plans[0], clip: { id: 'c1', node: 'village', camera: 'hall', alarm: alarm.id, status: 'pending', from: ago(seconds + 10), to: ago(seconds - 20) },
    response: { alarm: alarm.id, step: 2, next: '镇中心值班', nextAt: ago(-48), tellings: [telling(seconds, '', 'sound', 'sent'), telling(seconds - 2, '信息员甲', 'wecom-app', 'delivered'), telling(seconds - 9, '副站长', 'sms', 'sent')] },
  });
  return alarm;
}

await scene('live-new', (w) => full(w), { night: true });

await scene('live-insisting', (w) => {
  const a = full(w, 102);
  w.details[a.id].response.tellings.push(telling(42, '副站长', 'sms', 'failed', { tries: 3 }), telling(30, '站长', 'wecom-app', 'waiting'));
  return a;
}, { night: true });

await scene('live-answered', (w) => {
  const a = full(w, 402, {
    state: 'acknowledged', answers: [{ kind: 'received', by: 'zhangsan', name: '张三', at: ago(370) }], centreSeenAt: ago(340), centreTakenAt: ago(300), takenBy: { by: 'lisi', name: '李四', seat: '2 号席', at: ago(350) },
    notes: [{ by: 'lisi', name: '李四', at: ago(200), text: '住户说在炒菜' }],
  });
  Object.assign(w.details[a.id].response, { next: '', nextAt: undefined, answeredAt: ago(370), calls: [{ by: 'zhangsan', name: '张三', at: ago(330), to: '本人 王桂芳', reached: false }, { by: 'zhangsan', name: '张三', at: ago(280), to: '子女 王建国', reached: true, note: '油烟，已开窗' }] });
  w.details[a.id].clip.status = 'failed';
  alarmOf(w, 'temp-1203', 380, { state: 'acknowledged', incident: 'i1', answers: [{ kind: 'received', by: 'zhangsan', name: '张三', at: ago(360) }], why: { kind: 'temperature', active: true, field: 'temperature', value: 61, op: 'gt', limit: 60, timing } });
  alarmOf(w, 'gas-1204', 300, { state: 'acknowledged', incident: 'i1', answers: [{ kind: 'received', by: 'zhangsan', name: '张三', at: ago(290) }] });
  a.incident = 'i1';
  return a;
}, { night: true });

await scene('live-why', (w) => alarmOf(w, 'temp-1203', 44, { late: true, chattering: true, skew: 3600e9, deviceTime: ago(-3556), count: 12, why: { kind: 'temperature', active: true, field: 'temperature', value: 61, op: 'gt', limit: 60, timing } }));

await scene('live-test', (w) => {
  const a = full(w, 12, { test: true });
  w.details[a.id].response = { alarm: a.id, step: 0, tellings: [] };
  return a;
}, { night: true });

await scene('live-no-camera', (w) => {
  const a = alarmOf(w, 'sos-1205', 31);
  Object.assign(w.details[a.id], { people: { ...people, sensor: 'sos-1205', flat: '1205 室' }, response: { alarm: a.id, step: 1, next: '副站长', nextAt: ago(-12), tellings: [telling(31, '', 'sound', 'sent')] } });
  return a;
}, { night: true });

await scene('live-no-plan', (w) => alarmOf(w, 'manhole-88', 95));

await scene('live-line-down', (w) => {
  const a = full(w, 50, { centreAt: undefined });
  w.details[a.id].centre.receivedAt = null;
  w.uplink = { connected: false, since: ago(900), lanes: [] };
  w.lamps[0] = { id: 'uplink', state: 'bad', code: 'uplink.down', args: { since: ago(900), backlog: 12 } };
  w.lamps[4] = { id: 'loudspeaker', state: 'bad', code: 'sound.missing', args: {} };
  return a;
});

const longName = '17 号楼地下二层东北角消防水泵房湿式报警阀间可燃气体探测器（二〇二六年九月更换）';
const longPlace = '幸福里小区三期（原第三纺织厂职工宿舍）17 号楼 3 单元地下二层东北角消防水泵房湿式报警阀间';
await scene('live-long', (w) => {
  w.typed = [longName, longPlace];
  const s = w.sensors.find((r) => r.sensor.id === 'smoke-1202').sensor;
  Object.assign(s, { name: longName, place: longPlace });
  return full(w, 130, { late: true, chattering: true });
});

await scene('live-handed', (w) => {
  const a = full(w, 260);
  Object.assign(w.session.node, { id: 'town', name: '示范镇城运中心', kind: 'centre' });
  w.nodes = [{ id: 'village', name: '示范村工作站', online: true, since: ago(90_000) }];
  w.typed = ['示范镇城运中心'];
  w.details[a.id].people = null;
  Object.assign(w.details[a.id].response, { parent: true, closed: true, next: '', nextAt: undefined });
  return a;
}, { act: async (p) => {
  if (!(await p.getByTestId('answer-handed').innerText()).includes('已下班')) throw new Error('it is not said whose it is');
} });

// The centre has taken it over; at the station the clock runs.
await scene('live-taken', (w) => {
  const a = full(w, 200, { centreSeenAt: ago(180), centreTakenAt: ago(150), centreTakenBy: '示范镇城运中心 李四' });
  Object.assign(w.details[a.id].response, { next: '', nextAt: undefined, taken: true, takenUntil: ago(-450) });
  w.typed = ['示范镇城运中心 李四'];
  return a;
}, { night: true, act: async (p) => {
  if (!(await p.getByTestId('taken-until').innerText()).includes('07:')) throw new Error('it is not said until when it is left to the centre');
} });

// It let it lie: both ends say so.
await scene('live-lapsed', (w) => {
  const a = full(w, 900, { centreSeenAt: ago(880), centreLapsedAt: ago(60), centreLapsedBy: '示范镇城运中心 李四', worked: 2 });
  w.details[a.id].response.tellings.push(telling(60, '站长', 'wecom-app', 'sent'));
  w.typed = ['示范镇城运中心 李四'];
  return a;
});

// At the centre: the one key gives its time anew.
await scene('live-taken-centre', (w) => {
  const a = full(w, 200, { node: 'village', centreSeenAt: ago(180), centreTakenAt: ago(150), centreTakenBy: '示范镇城运中心 张三' });
  Object.assign(w.session.node, { id: 'town', name: '示范镇城运中心', kind: 'centre' });
  w.nodes = [{ id: 'village', name: '示范村工作站', online: true, since: ago(90_000) }];
  w.typed = ['示范镇城运中心 张三', '示范镇城运中心'];
  w.details[a.id].people = null;
  Object.assign(w.details[a.id].response, { next: '', nextAt: undefined, taken: true, takenUntil: ago(-450) });
  return a;
}, { act: async (p) => {
  if (!(await p.getByTestId('hand-until').innerText()).includes('07:')) throw new Error('the centre does not see how long it has');
  if (!(await p.getByTestId('take-over').innerText()).includes('G')) throw new Error('there is no key to go on');
} });

await scene('live-returned', (w) => full(w, 700, { returnedAt: ago(300), state: 'acknowledged', answers: [{ kind: 'received', by: 'zhangsan', name: '张三', at: ago(650) }] }));

const many = (w) => {
  const a = full(w, 17);
  alarmOf(w, 'temp-1203', 180, { why: { kind: 'temperature', active: true, field: 'temperature', value: 61, op: 'gt', limit: 60, timing } });
  alarmOf(w, 'sos-1205', 65);
  alarmOf(w, 'manhole-88', 720, { state: 'acknowledged', answers: [{ kind: 'received', by: 'zhangsan', name: '张三', at: ago(700) }] });
  alarmOf(w, 'water-1201', 5_000, { shelf: { by: 'lisi', name: '李四', at: ago(4_000), until: ago(-7_200), why: '热水器漏水，等配件' } });
  for (let i = 0; i < 7; i++) alarmOf(w, 'door-stairs', 40 + i, { suppressed: 'flood', place: `3号楼 ${i + 3} 层楼梯间` });
  w.typed = [...Array(7)].map((_, i) => `3号楼 ${i + 3} 层楼梯间`);
  return a;
};
/** Whether a press on the middle of an element would reach it: nothing lies over it. */
const bare = (page, id) => page.getByTestId(id).first().evaluate((el) => {
  const r = el.getBoundingClientRect();
  const top = document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2);
  return el === top || el.contains(top);
});
function check(holds, what) {
  if (!holds) throw new Error(what);
}

// Every key does what it says, and what opens stands beside the alarm, not over it.
await scene('live-keys', (w) => full(w), { one: true, act: async (page) => {
  const orders = () => stage.world.orders.map((o) => o.path.split('/').pop());
  await page.keyboard.press('v');
  await page.locator('.views.large').waitFor();
  await page.keyboard.press('Escape');
  await page.locator('.views.large').waitFor({ state: 'detached' });
  await page.keyboard.press('?');
  await page.getByTestId('key-list').waitFor();
  for (const id of ['alarm-title', 'answer-received', 'steps', 'live-video']) check(await bare(page, id), `something lies over ${id}`);
  await page.keyboard.press('t');
  await until('it is taken', 5, async () => orders().includes('take'));
  await page.keyboard.press('c');
  await page.getByTestId('call-form').locator('[name=to]').waitFor();
  check((await page.getByTestId('call-form').locator('[name=to]').inputValue()) === '本人 王桂芳', 'the first person is not proposed');
  await page.getByTestId('call-form-missed').click();
  await until('the call is logged', 5, async () => stage.world.orders.some((o) => o.path.endsWith('/calls') && o.order.reached === false));
  await page.keyboard.press('s');
  check((await page.getByTestId('shelf-form').count()) === 0, 'an alarm that endangers people can be put away');
  await page.keyboard.press('Space');
  await until('it is received', 5, async () => stage.world.orders.some((o) => o.path.endsWith('/answers') && o.order.kind === 'received'));
} });

// A session that ends asks for the password above the alarm.
await scene('live-expired', (w) => full(w), { one: true, forgive: /401/, act: async (page) => {
  stage.world.session = { ...stage.world.session, actor: null };
  station.hangUp();
  await page.getByTestId('login-again').waitFor();
  for (const id of ['alarm-title', 'alarm-age', 'steps', 'people']) check(await bare(page, id), `the login lies over ${id}`);
} });

await scene('desk-many', many);
await scene('desk-bulk', many, { act: async (page) => {
  await page.getByTestId('pick').click();
  await page.getByTestId('pick-all').click();
  await page.keyboard.press('?');
  await page.getByTestId('key-list').waitFor();
} });
await scene('live-shelf-form', (w) => alarmOf(w, 'manhole-88', 95), { act: async (page) => {
  await page.keyboard.press('s');
  await page.getByTestId('shelf-form').waitFor();
} });
await scene('desk-plan', (w) => {
  alarmOf(w, 'temp-1203', 180, { state: 'acknowledged', answers: [{ kind: 'received', by: 'zhangsan', name: '张三', at: ago(100) }] });
  w.alarms[0].place = '3号楼 1203 室门口';
  return w.alarms[0];
}, { act: async (page) => {
  await page.keyboard.press('Escape');
  await page.getByTestId('to-plan').click();
  await page.locator('[data-testid=plan-live] svg').waitFor();
} });

/** A week of readings that look like a room. */
function history(_, url) {
  const from = Date.parse(url.searchParams.get('from')), to = Date.parse(url.searchParams.get('to'));
  const at = (i) => from + ((to - from) * i) / 300;
  const line = (field, mean, swing, noise) => ({ field, type: 'number', points: [...Array(301)].map((_, i) => {
    const v = mean + swing * Math.sin(at(i) / 13_750_000) + noise * Math.sin(i * 2.3);
    return [at(i), v - noise, v, v + noise];
  }).filter((_, i) => i < 180 || i > 205), gaps: [[at(180), at(205)]] });
  return { from, to, series: [line('temperature', 24, 4, 0.6), { field: 'smoke', type: 'bool', turns: 4, points: [...Array(301)].map((_, i) => [at(i), 0, i === 120 || i === 260 ? 1 : 0, 1]) }, line('battery', 86, 1, 0), line('linkquality', 100, 20, 6)] };
}
paths.push('/sensors/{id}/history', '/people/{id}', '/sensors/{id}/service', '/sensors/{id}/credential', '/sensors/{id}/replacement', '/rules/trial');
await page('device', '#/sensors/smoke-1202', (w) => {
  const s = w.sensors[0].sensor;
  s.rules = [{ kind: 'smoke', field: 'smoke', op: 'eq', value: true }, { kind: 'temperature', field: 'temperature', op: 'gt', value: 60, for: 120e9, version: 2, name: '' }];
  alarmOf(w, 'smoke-1202', 90_000, { state: 'cleared', clearedAt: ago(89_000), answers: [{ kind: 'false', by: 'zhangsan', name: '张三', at: ago(89_500) }] });
  w.sensors.push({ sensor: { ...s, id: 'new-1', name: '', place: '', adopted: false, position: null, model: 'HS1SA', rules: [] }, state: null });
  Object.assign(w.replies, { 'GET /sensors/smoke-1202/history': history, 'GET /people/smoke-1202': people, 'POST /rules/trial': { alarms: 3, first: [{ at: ago(400_000) }] }, 'POST /sensors/smoke-1202/credential': { username: 'smoke-1202', password: 'r7Kq-52Vd-cc19-Tm4x', publish: ['zigbee2mqtt/smoke-1202/#'] } });
}, async (p) => {
  await p.locator('[data-testid=chart] canvas').nth(2).waitFor();
  await p.getByTestId('trial').last().click();
  await p.getByTestId('trial-said').waitFor();
  await p.getByTestId('credential-form').locator('button[type=submit]').click();
  await p.getByTestId('credential-password').waitFor();
});

await page('plans', '#/setup/plans', (w) => {
  w.replies['PUT /sensors/manhole-88'] = (order) => {
    Object.assign(w.sensors.find((r) => r.sensor.id === 'manhole-88').sensor, { position: order.position });
    return order;
  };
}, async (p) => {
  await p.locator('[data-testid=planner] svg').waitFor();
  await p.getByTestId('loose').getByRole('button').first().focus();
  await p.keyboard.press('Enter');
  await p.locator('[data-mark="sensor/manhole-88"]').waitFor();
  await p.locator('[data-mark="sensor/manhole-88"]').focus();
  const last = () => stage.world.orders.filter((o) => o.path === '/sensors/manhole-88').at(-1)?.order.position;
  await p.keyboard.press('Shift+ArrowUp');
  await until('it is moved by the keyboard', 5, async () => last()?.y === 0.45);
  await p.keyboard.press('Shift+ArrowUp');
  await until('it is moved again', 5, async () => last()?.y === 0.4);
  const box = await p.locator('[data-mark="sensor/manhole-88"] .dot').boundingBox();
  await p.mouse.move(box.x + 5, box.y + 5);
  await p.mouse.down();
  await p.mouse.move(box.x + 105, box.y + 65, { steps: 4 });
  await p.mouse.up();
  await until('it is moved by the mouse', 5, async () => last()?.x > 0.55);
});

paths.push('/performance');
// Another page is open: the alarm is called above it, and one press leads there.
await page('calling', '#/records', (w) => full(w), async (p) => {
  await p.getByTestId('calling').waitFor();
  await album.one(p, 'calling', 'zh', { width: 1366, height: 768 });
  await p.getByTestId('calling').getByRole('button').click();
  await p.getByTestId('alarm').waitFor();
}, { none: true });

await page('performance', '#/performance', (w) => {
  const per10min = [...Array(180)].map((_, i) => ({ at: ago(604_800 - i * 3_300), count: i === 70 ? 23 : i % 7 === 0 ? 4 : i % 3 })).filter((x) => x.count);
  alarmOf(w, 'door-stairs', 200_000);
  w.replies['GET /performance'] = {
    total: 187, false: 31, per10min, top: w.sensors.map((r, i) => ({ sensor: r.sensor.id, name: r.sensor.name, count: 60 - i * 9 })), stale: w.alarms, chattering: [],
    ackSeconds: { p50: 21, p90: 74, max: 612 }, unanswered: 2, bySeverity: { critical: 12, major: 40, minor: 135 }, flood: per10min.filter((x) => x.count > 10),
  };
}, (p) => p.getByTestId('top').waitFor());

paths.push('/workbench/topics', '/workbench/messages', '/workbench/try');
await page('workbench', '#/setup/workbench', (w) => {
  const topic = (t, outcome, more) => ({ broker: 'embedded', topic: t, count: 42, malformed: 0, last: ago(5), outcome, families: [], sensors: [], ...more });
  const payload = '{"dev":"k-7","data":{"temp":23.4,"hum":41,"alarm":0,"bat":87},"ts":1795000000}';
  w.typed = ['zigbee2mqtt/smoke-1202', 'village/kitchen/k-7', 'old/pump', 'shellies', payload];
  Object.assign(w.replies, {
    'GET /workbench/topics': { topics: [topic('village/kitchen/k-7', 'unrouted'), topic('zigbee2mqtt/smoke-1202', 'read', { families: ['zigbee2mqtt'], sensors: ['smoke-1202'] }), topic('old/pump', 'malformed', { malformed: 4 })], faults: [], unknown: [] },
    'GET /workbench/messages': { messages: [...Array(4)].map((_, i) => ({ at: ago(5 + i * 60), broker: 'embedded', topic: 'village/kitchen/k-7', client: 'k-7', payload, size: payload.length, outcome: 'unrouted' })) },
    'POST /workbench/try': (order) => ({ results: order.family === 'json' ? [{ family: 'json', readings: [{ values: { temperature: 23.4, humidity: 41, battery: 87 } }], class: 'temperature' }] : [], values: [{ path: 'data.alarm', value: 0 }, { path: 'data.bat', value: 87, field: 'battery' }, { path: 'data.hum', value: 41, field: 'humidity' }, { path: 'data.temp', value: 23.4, field: 'temperature', class: 'temperature' }, { path: 'dev', value: 'k-7' }, { path: 'ts', value: 1795000000, field: 'time' }] }),
    'PUT /sensors': {},
  });
}, async (p) => {
  await p.getByTestId('bench-topic').first().click();
  await p.getByTestId('mapping-begin').click();
  await p.getByTestId('mapping-result').waitFor();
});

/** What is set up around telling people. */
function telling2(w) {
  const channels = [
    { id: 'ch-1', name: '值班群', kind: 'wecom-robot', url: 'https://qyapi.weixin.qq.com', hasSecret: true, always: ['critical'] }, { id: 'ch-2', name: '短信网关', kind: 'sms', url: 'https://sms.example.cn/send', hasSecret: true, request: { type: 'form', fields: { mobile: '{to}', content: '{text}' } } },
    { id: 'ch-3', name: '大厅声光', kind: 'mqtt', siren: { broker: 'embedded', topic: 'siren/hall', on: 'ON', off: 'OFF' }, always: ['critical', 'major'] },
  ];
  w.typed = ['值班群', '短信网关', '大厅声光', '夜班电话', 'village-horn'];
  Object.assign(w.replies, {
    'GET /channels': { channels }, 'GET /accounts': { accounts: [{ account: 'lisi', name: '李四', role: 'operator' }] }, 'POST /channels/ch-1/test': { state: 'delivered' },
    'GET /contacts': { contacts: [
      { id: 'c1', name: '副站长', phone: '13855551234', channels: [{ channel: 'ch-1' }, { channel: 'ch-2', address: '13855551234' }], hours: [{ days: [1, 2, 3, 4, 5], from: '08:30', to: '17:30' }], order: 1, waitSeconds: 60 },
      { id: 'c2', name: '夜班电话', phone: '13955555678', channels: [{ channel: 'ch-2', address: '13955555678' }], hours: [{ days: [], from: '17:30', to: '08:30' }], order: 2, waitSeconds: 120 },
      { id: 'c3', name: '镇中心值班', channels: [], order: 3, waitSeconds: 60 },
    ] },
    'GET /hours': { open: [{ days: [1, 2, 3, 4, 5, 6], from: '06:00', to: '22:00' }], escalate: ['critical', 'major'], deskSeconds: 30, parentSeconds: 60, takeOverSeconds: 600, closed: false, parent: true },
    'GET /sound': { device: 'village-horn', state: 'ok', muted: false, needed: true }, 'POST /sound/test': { device: 'village-horn', state: 'ok' },
  });
}
paths.push('/contacts', '/channels', '/hours', '/sound');
await page('contacts', '#/setup/contacts', telling2, async (p) => {
  await p.getByTestId('contact').nth(2).waitFor();
}, { few: true });
await page('contact-dialog', '#/setup/contacts', telling2, async (p) => {
  await p.getByTestId('contact').first().getByRole('button').last().click();
  await p.getByTestId('contact-dialog').waitFor();
}, { one: true });
await page('channels', '#/setup/channels', telling2, async (p) => {
  await p.getByTestId('channel-test').first().click();
  await p.getByTestId('channel-tested').waitFor();
}, { few: true });
await page('channel-dialog', '#/setup/channels', telling2, async (p) => {
  await p.getByTestId('channel').nth(1).getByRole('button').last().click();
  await p.getByTestId('channel-dialog').waitFor();
}, { one: true });
await page('duty', '#/setup/duty', telling2, (p) => p.getByTestId('duty-form').waitFor(), { few: true });
await page('sound', '#/setup/sound', telling2, async (p) => {
  await p.getByTestId('sound-test').click();
  await p.locator('.said').waitFor();
}, { few: true });

/** A stranger that waits for a name, and what is set up around alarms. */
function around(w) {
  const s = w.sensors[0].sensor;
  w.sensors.push({ sensor: { ...s, id: '0x00158d', name: '', place: '', class: 'water', adopted: false, position: null, cameras: [], source: { broker: 'embedded', family: 'zigbee2mqtt', topic: 'zigbee2mqtt/0x00158d' } }, state: { sensor: '0x00158d', values: { water: false, battery: 100 }, lastSeen: ago(20), offline: false } });
  w.typed = ['夜间', '周末', '0x00158d'];
  const step = (text, dont) => ({ text, dont });
  const text = { zh: { steps: [step('立即回拨，问清情况'), step('无人应答：请最近的人上门'), step('不要挂断电话', true)], phones: [{ label: '急救', number: '120' }] }, en: { steps: [step('Ring back at once')], phones: [] } };
  w.typed.push(...text.zh.steps.map((x) => x.text), '急救');
  Object.assign(w.replies, {
    'GET /joining': { open: true, since: ago(100), until: ago(-740), by: 'zhangsan', name: '张三' },
    'GET /mode': { mode: 'routine', armed: true, schedules: { night: true }, name: '李四', by: 'lisi', at: ago(40_000) },
    'GET /schedules': { schedules: [{ id: 'night', name: '夜间', windows: [{ days: [], from: '22:00', to: '06:00' }] }, { id: 'weekend', name: '周末', windows: [{ days: [6, 7], from: '00:00', to: '24:00' }], holidays: ['2026-10-01'] }] },
    'GET /cards': { cards: [{ kind: 'sos', text, version: 2, name: '李四', at: ago(90_000) }, smokeCard, ...['gas', 'water', 'manhole', 'other'].map((kind) => ({ kind, text, version: 0 }))] },
  });
}
paths.push('/joining', '/mode', '/schedules', '/cards');
await page('joining', '#/setup/joining', around, (p) => p.getByTestId('stranger').waitFor(), { few: true });
await page('adopt-dialog', '#/setup/joining', around, async (p) => {
  await p.getByTestId('adopt').click();
  await p.getByTestId('adopt-dialog').waitFor();
}, { one: true });
await page('watch', '#/setup/watch', around, (p) => p.getByTestId('schedule').first().waitFor(), { few: true });
await page('cards', '#/setup/cards', around, (p) => p.getByTestId('card-form').waitFor(), { few: true });

paths.push('/sensors.csv', '/displays');
await page('import', '#/setup/import', (w) => {
  w.typed = ['line', 'sensors.csv'];
  w.replies['POST /sensors.csv'] = { try: true, applied: false, lines: 41, added: 38, changed: 2, same: 0, faults: [{ line: 17, column: '类型', code: 'sensor.class', message: '没有“烟感器”这种类型', hint: '写 烟感、燃气、水浸…' }, { line: 23, column: '主题', code: 'sensor.topic', message: '主题和第 9 行一样' }], more: 0, notes: [] };
}, async (p) => {
  await p.getByTestId('import-file').setInputFiles({ name: 'sensors.csv', mimeType: 'text/csv', buffer: Buffer.from('名称,类型\n') });
  await p.getByTestId('import-lines').waitFor();
}, { few: true });
await page('displays', '#/setup/displays', (w) => {
  w.typed = ['值班室东墙', '站长室'];
  Object.assign(w.replies, {
    'GET /displays': { displays: [{ id: 'd1', name: '值班室东墙', by: '张三', armedAt: ago(900_000), openedAt: ago(899_000), address: '192.168.1.40', seenAt: ago(30) }, { id: 'd2', name: '站长室', by: '张三', armedAt: ago(60), linkUntil: ago(-3_500) }] },
    'POST /displays': { id: 'd2', name: '站长室', token: 'uQ7-9fK2x-aa41' },
  });
}, async (p) => {
  await p.getByTestId('display-form').locator('input').fill('站长室');
  await p.getByTestId('display-form').locator('button[type=submit]').click();
  await p.getByTestId('display-link').waitFor();
}, { few: true });

paths.push('/rule-templates', '/rules/fields');
await page('rules', '#/setup/rules', (w) => {
  around(w);
  w.typed.push('机房');
  Object.assign(w.replies, {
    'GET /rule-templates': { templates: [{ id: 't1', name: '温度', class: 'temperature', version: 3, byName: '李四', at: ago(200_000), rules: [
      { id: 'r1', kind: 'temperature', field: 'temperature', op: 'gt', value: 60, clear: 55, for: 120e9, version: 3 }, { id: 'r2', kind: 'temperature', name: '机房', expr: 'temperature > 40 && humidity < 20', field: '', op: '', value: 0, schedule: 'night', severity: 'minor', version: 3 },
    ] }] },
    'GET /rules/fields': { fields: [{ name: 'temperature', type: 'number', unit: '°C' }, { name: 'humidity', type: 'number' }, { name: 'battery', type: 'number' }], defaults: [{ kind: 'temperature', field: 'temperature', op: 'gt', value: 60, clear: 55 }, { kind: 'battery', field: 'battery', op: 'lt', value: 15 }] },
    'POST /rules/trial': { alarms: 3, first: [{ at: ago(400_000) }] },
  });
}, async (p) => {
  await p.getByTestId('trial').first().click();
  await p.getByTestId('trial-said').waitFor();
});

// A centre gives it to its stations: one has it, one waits, one has refused it, one has changed it since.
paths.push('/rule-templates/{id}/pushes', '/rule-policy');
await page('rules-pushed', '#/setup/rules', (w) => {
  around(w);
  Object.assign(w.session.node, { id: 'town', name: '示范镇城运中心', kind: 'centre' });
  w.nodes = ['东村工作站', '西村工作站', '南村工作站', '北村工作站', '新村工作站'].map((name, i) => ({ id: `v${i}`, name, online: i !== 1, since: ago(90_000) }));
  w.typed.push('示范镇城运中心', '冷库有自己的要求', ...w.nodes.map((n) => n.name));
  const row = (node, more) => ({ template: 't1', class: 'temperature', node, version: 3, by: 'li', name: '李四', at: ago(4_000), stateAt: ago(3_900), state: 'done', ...more });
  Object.assign(w.replies, {
    'GET /rule-templates': { templates: [{ id: 't1', name: '温度', class: 'temperature', version: 3, byName: '李四', at: ago(5_000), rules: [{ id: 'r1', kind: 'temperature', field: 'temperature', op: 'gt', value: 60, version: 3 }] }] },
    'GET /rules/fields': { fields: [{ name: 'temperature', type: 'number', unit: '°C' }], defaults: [{ kind: 'temperature', field: 'temperature', op: 'gt', value: 60, clear: 55 }] },
    'GET /rule-templates/t1/pushes': { all: true, pushes: [
      row('v0', { accepted: 3, acceptedAt: ago(3_900) }), row('v1', { state: 'waiting' }),
      row('v2', { state: 'refused', problem: { code: 'template.local', place: 'rule-template/t9/2', args: { version: '2', name: '王五' } } }),
      row('v3', { accepted: 3, acceptedAt: ago(3_900), local: { version: 4, name: '王五', at: ago(600) } }),
    ] },
    'GET /rule-policy': { classes: ['temperature'], why: '冷库有自己的要求' },
  });
}, async (p) => {
  await p.getByTestId('pushes').waitFor();
  await until('five rows', 10, async () => (await p.getByTestId('push-row').count()) === 5);
  await p.getByTestId('push-over').waitFor(); // what a station refuses can be decided
  await p.getByTestId('pushes').scrollIntoViewIfNeeded();
});
await page('sensor-dialog', '#/sensors/temp-1203', (w) => {
  around(w);
  w.replies['GET /rules/fields'] = { fields: [{ name: 'temperature', type: 'number' }], defaults: [] };
  w.sensors[1].sensor.rules = [{ id: 'r1', kind: 'temperature', field: 'temperature', op: 'gt', value: 60, clear: 55, for: 120e9 }];
  w.replies['GET /people/temp-1203'] = { sensor: 'temp-1203', list: [] };
  w.replies['GET /sensors/temp-1203/history'] = history;
}, async (p) => {
  await p.getByTestId('sensor-edit').click();
  await p.getByTestId('rule-form').waitFor();
}, { one: true });

await page('health', '#/health', (w) => {
  const way = (protocol, viewer, state) => ({ protocol, station: protocol === 'tcp' ? '192.168.1.10:8190' : '192.168.1.10:8189', viewer, state });
  w.viewers = {
    viewers: [
      { camera: w.cameras[0].camera.id, role: 'focus', account: 'zhangsan', name: '张三', address: '192.168.1.51', since: ago(130), status: 'connected', transport: 'udp', used: way('udp', '192.168.1.51:50122', 'succeeded'), packets: 91_000, repaired: 420, refused: 3, skipped: 2, roundTrip: 4_000_000 },
      { camera: w.cameras[1].camera.id, role: 'wall', account: 'zhangsan', name: '张三', address: '10.8.0.7', since: ago(700), status: 'connected', transport: 'websocket', packets: 0, repaired: 0, refused: 0, skipped: 0 },
    ],
    failed: [{ camera: w.cameras[2].camera.id, role: 'focus', account: 'zhangsan', name: '张三', address: '10.8.0.7', since: ago(720), ended: ago(705), status: 'failed', cause: 'the peer did not connect; a firewall may block the video port', offered: ['udp 192.168.1.10:8189', 'tcp 192.168.1.10:8190'], tried: [way('udp', '10.8.0.7:61022', 'waiting')], packets: 0, repaired: 0, refused: 0, skipped: 0 }],
  };
  const went = (carried, delay, more = {}) => ({ bought: 50e6, asked: 47.5e6, rate: carried, carried, bytes: carried, lost: 0.001, delay, worst: 2 * delay, delivers: carried > 43e6, ...more });
  w.replies['GET /line/tests'] = { tests: [
    { at: ago(700), idle: 8.2, up: went(31.2e6, 41, { lost: 0.012, stopped: true }), down: went(47.1e6, 14) },
    { at: ago(30_000), nightly: true, idle: 7.9, up: went(4.9e6, 9, { delivers: true }), down: went(5e6, 9, { delivers: true, lost: -1 }) },
    { at: ago(117_000), nightly: true, idle: 0, up: went(0, 0), down: went(0, 0), problem: 'dial: connection refused' },
  ] };
  const problem = (code) => ({ code, message: code, hint: 'set it up as it is recommended' });
  const broker = (id, health) => ({ id, url: `mqtt://192.168.1.${id}:1883`, topics: ['zigbee2mqtt/#'], health });
  w.typed = ['gateway-1', 'storm/#'];
  w.uplink ??= { connected: true, since: ago(90_000), lanes: [{ lane: 'urgent', backlog: 0 }, { lane: 'normal', backlog: 0 }, { lane: 'bulk', backlog: 311, oldest: ago(4) }] };
  const use = (now, minute = now) => ({ now, minute, peak: now, bytes: now * 1_000 });
  const classes = { control: [240e3, 180e3], conference: [64e3], share: [2.1e6, 2e6], camera: [6.4e6, 6.1e6], wall: [900e3], clips: [34.2e6, 21e6], backlog: [450e3, 400e3] };
  w.replies['GET /line'] = {
    up: 50e6, down: 50e6, reserve: 8e6, free: 22.3e6, sent: use(44.4e6, 31e6), received: use(310e3), refused: 2, yielded: 1,
    classes: Object.entries(classes).map(([name, [now, minute]]) => ({ class: name, up: use(now, minute), down: use(0), held: 0, waited: 0 })),
    flows: [
      { class: 'camera', name: w.cameras[0].camera.id, since: ago(340), held: 7.2e6, now: 6.4e6, bytes: 270e6 },
      { class: 'wall', name: w.cameras[1].camera.id, since: ago(55), held: 1.2e6, now: 900e3, bytes: 6e6 },
    ],
  };
  Object.assign(w.replies, {
    'GET /brokers': { brokers: [
      broker('21', { connected: true, since: ago(90_000), version: 'mosquitto 2.0.21', received: 48_211, dropped: 0 }),
      broker('22', { connected: true, since: ago(4_000), version: 'mosquitto 1.6.9', received: 812, dropped: 3, warnings: [problem('broker.keeps-few'), problem('broker.drops')] }),
      broker('23', { connected: false, since: ago(600), received: 0, dropped: 0, problem: problem('broker.login') }),
    ] },
    'GET /devices': { devices: [{ username: 'gateway-1', topics: ['storm/#'] }] },
  });
}, async (p) => {
  await p.getByTestId('broker').nth(2).waitFor();
  await p.getByTestId('line-verdict').waitFor();
  if ((await p.getByTestId('line-flow').count()) !== 2) throw new Error('two pictures on the line are not shown');
  if ((await p.getByTestId('broker-warning').count()) !== 3) throw new Error('three warnings are not shown');
}, { few: true });

await browser.close();
station.close();
console.log(`${album.taken} pictures in ${album.folder}`);
for (const f of [...new Set(faults)]) console.error(f);
process.exit(faults.length ? 1 : 0);
