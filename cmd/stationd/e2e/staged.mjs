// A station that is played: the console's own pages, served as the program serves
// them, over records that a script sets as it likes. It is for what a real
// station shows rarely or late: a test, a flood, a clock that is wrong, an
// escalation half way up. The API's shapes are those of agent/station; whatever
// can be had from a real station is tested against one.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';

const web = new URL('../../../agent/console/web', import.meta.url);
const policy = "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; style-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const everything = ['public', 'watch', 'video', 'answer', 'configure', 'people', 'accounts', 'audit', 'metrics'];

export const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const second = 1e9; // durations travel in nanoseconds

/** A floor of flats along a corridor, drawn as a plan would be. */
function floor(flats) {
  const w = 1600, h = 900, cell = w / flats.length;
  const rooms = flats.flatMap(([up, down], i) => [[i * cell, 0, up], [i * cell, 540, down]]);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}"><rect width="${w}" height="${h}" fill="#fdfcf8"/>${rooms
    .map(([x, y, name]) => `<g fill="none" stroke="#8a867c" stroke-width="4"><rect x="${x + 8}" y="${y + 8}" width="${cell - 16}" height="344"/></g><text x="${x + cell / 2}" y="${y + 60}" font-size="38" text-anchor="middle" fill="#8a867c" font-family="sans-serif">${name}</text>`)
    .join('')}</svg>`;
}

const pictures = {
  'b3-12': floor([['1201', '1205'], ['1202', '1206'], ['1203', '楼梯'], ['1204', '电梯']]),
  'b3-1': floor([['101', '门厅'], ['102', '值班室'], ['103', '配电间']]),
};
const picture = (digest) => ({ digest, type: 'image/png', bytes: 5120, width: 1600, height: 900, at: ago(90_000) });

const source = (topic) => ({ broker: 'embedded', family: 'zigbee2mqtt', topic });
const sensor = (id, name, place, cls, x, y, more = {}) => ({ id, name, place, class: cls, adopted: true, source: source(`zigbee2mqtt/${id}`), position: x === null ? null : { plan: 'b3-12', x, y }, cameras: [], ...more });

/** The records of a small estate; each call makes fresh ones. */
export function estate() {
  const sensors = [
    [sensor('smoke-1202', '厨房烟感', '3号楼 1202 室 · 厨房', 'smoke', 0.36, 0.22, { cameras: ['hall', 'lift'], important: true, maker: '海曼', model: 'HS1SA', firmware: '1.4.2', power: 'battery' }), { smoke: true, battery: 86, temperature: 31.4, linkquality: 102 }],
    [sensor('temp-1203', '走廊温感', '3号楼 1203 室门口', 'temperature', 0.6, 0.5, { cameras: ['hall'] }), { temperature: 61, humidity: 38, battery: 71 }],
    [sensor('gas-1204', '厨房燃气', '3号楼 1204 室 · 厨房', 'gas', 0.9, 0.24), { gas: false, gas_concentration: 3 }],
    [sensor('sos-1205', '床头求助按钮', '3号楼 1205 室 · 卧室', 'sos', 0.12, 0.8), { sos: true, battery: 64 }],
    [sensor('door-stairs', '楼梯间门磁', '3号楼 12 层楼梯间', 'door', 0.63, 0.72), { door: false, battery: 48 }],
    [sensor('water-1201', '卫生间水浸', '3号楼 1201 室 · 卫生间', 'water', 0.06, 0.3), { water: false, battery: 93 }],
    [sensor('manhole-88', '向阳路 88 号井盖', '向阳路 88 号门前', 'manhole', null, null, { cameras: [] }), { manhole: true, angle: 24, battery: 77 }],
  ].map(([s, values]) => ({ sensor: s, state: { sensor: s.id, values, lastSeen: ago(4), offline: s.id === 'door-stairs' } }));
  const cameras = [['hall', '3号楼 12层走廊', 0.5, 0.5], ['lift', '3号楼 12层电梯口', 0.86, 0.52], ['gate', '小区北门', null, null], ['garage', '地下车库', null, null]].map(([id, name, x, y]) => ({
    camera: { id, name, place: name, record: true, position: x === null ? null : { plan: 'b3-12', x, y } }, state: { camera: id, status: 'online', since: ago(86_400), codec: 'H264', width: 1280, height: 720 },
  }));
  return {
    session: { claimed: true, actor: { account: 'zhangsan', name: '张三', role: 'admin' }, permissions: everything, node: { id: 'village', name: '示范村工作站', kind: 'station' }, version: '1.0.0' },
    lamps: [['uplink', 'ok', 'uplink.ok', { rate: 48.1e6 }], ['cameras', 'ok', 'cameras.ok', { online: 4, total: 4 }], ['sensors', 'ok', 'sensors.ok', {}], ['storage', 'ok', 'storage.ok', { daysLeft: 23 }], ['loudspeaker', 'ok', 'sound.ok', {}]].map(([id, state, code, args]) => ({ id, state, code, args })),
    quietSince: ago(5_400), uplink: { connected: true, since: ago(200_000), lanes: [] },
    sensors, cameras, alarms: [], details: {},
    plans: [{ id: 'b3-12', name: '3号楼', floor: '12 层', order: 1, picture: picture('b3-12') }, { id: 'b3-1', name: '3号楼', floor: '1 层', order: 2, picture: picture('b3-1') }],
    notes: [{ id: 'n1', by: 'lisi', name: '李四', at: ago(7_000), text: '4 号楼电梯今天检修，门磁会报几次。' }],
    cards: [], replies: {}, orders: [],
  };
}

/** An alarm of one of the estate's sensors. */
export function alarmOf(world, id, seconds, more = {}) {
  const { sensor: s, state } = world.sensors.find((r) => r.sensor.id === id);
  const kind = more.kind ?? s.class;
  const severity = { smoke: 'critical', gas: 'critical', sos: 'critical', water: 'major', manhole: 'major', temperature: 'major' }[kind] ?? 'minor';
  const alarm = {
    id: `a-${id}-${world.alarms.length + 1}`, node: 'village', kind, severity, state: 'raised', sensor: id, name: s.name, place: s.place, raisedAt: ago(seconds), lastAt: ago(Math.min(3, seconds)), count: 3,
    values: state.values, cameras: s.cameras, centreAt: ago(seconds - 1), important: s.important, why: { kind, active: true, field: kind, value: state.values[kind], op: 'eq', limit: true }, ...more,
  };
  world.alarms.push(alarm);
  world.details[alarm.id] = { alarm, clip: null, sensor: { sensor: s, state }, centre: { configured: true, receivedAt: alarm.centreAt }, response: null, people: null, card: null, plan: null, incident: null };
  return alarm;
}

export const people = { sensor: 'smoke-1202', flat: '1202 室', list: [{ relation: 'self', name: '王桂芳', phone: '13855551234', age: 83, note: '独居' }, { relation: 'child', name: '王建国', phone: '13955555678', note: '同城' }, { relation: 'keyholder', name: '楼组长 周', phone: '13755559012' }] };
export const smokeCard = {
  kind: 'smoke', version: 3,
  text: {
    zh: { steps: [{ text: '打电话给住户，问清是否起火' }, { text: '无人接听，请楼组长带钥匙上门' }, { text: '确认起火：拨 119，再按“真警”' }, { text: '不要乘电梯，不要独自进入有烟房间', dont: true }], phones: [{ label: '火警', number: '119' }, { label: '物业', number: '021-5555 0119' }] },
    en: { steps: [{ text: 'Call the resident: is there a fire?' }, { text: 'No answer: send the warden with the key' }, { text: 'Fire confirmed: dial 119, then press “Real”' }, { text: 'No lift. Never enter a smoky room alone', dont: true }], phones: [{ label: 'Fire', number: '119' }] },
  },
};
export const timing = { for: 120 * second };

/** Plays a station; world is looked at anew with every request. */
export async function playStation(stage) {
  const streams = new Set();
  const server = createServer(async (req, reply) => {
    const url = new URL(req.url, 'http://station');
    reply.setHeader('Content-Security-Policy', policy);
    reply.setHeader('Cache-Control', 'no-store');
    try {
      if (url.pathname.startsWith('/api/v1/')) return await api(req, reply, url.pathname.slice('/api/v1'.length), url);
      const name = url.pathname.includes('.') ? url.pathname : '/index.html';
      const body = await readFile(new URL(`${web.pathname}${name}`, 'file:///'));
      reply.setHeader('Content-Type', types[extname(name)] ?? 'text/plain; charset=utf-8');
      reply.end(body);
    } catch (err) {
      reply.statusCode = 404;
      reply.end(String(err));
    }
  });
  const json = (reply, body, code = 200) => {
    reply.statusCode = code;
    reply.setHeader('Content-Type', 'application/json');
    reply.end(JSON.stringify(body));
  };
  const status = (w) => ({ now: new Date().toISOString(), lamps: w.lamps, quietSince: w.quietSince, uplink: w.uplink, storage: { free: 4e11, total: 1e12, level: 'ok', daysLeft: 23 }, cameras: { online: 4, total: 4 }, sensors: { online: 6, total: 7 }, nodes: w.nodes ?? null, brokers: [] });

  async function api(req, reply, path, url) {
    const w = stage.world;
    let body = '';
    for await (const part of req) body += part;
    const order = body && req.headers['content-type']?.startsWith('application/json') ? JSON.parse(body) : null;
    if (!w.session.actor && path !== '/session') return json(reply, { code: 'access.sign-in' }, 401);
    if (req.method !== 'GET') w.orders.push({ method: req.method, path, order });
    const own = w.replies[`${req.method} ${path}`];
    if (own !== undefined) return json(reply, typeof own === 'function' ? own(order, url) : own);
    const alarm = /^\/alarms\/([^/]+)$/.exec(path)?.[1];
    const done = /^\/alarms\/([^/]+)\/(answers|take|notes|shelf|calls)$/.exec(path);
    if (done && req.method !== 'GET') return json(reply, deed(w, done[1], done[2], req.method, order));
    if (alarm) return w.details[alarm] ? json(reply, w.details[alarm]) : json(reply, { code: 'not-found' }, 404);
    const plan = /^\/plans\/([^/]+)\/picture$/.exec(path)?.[1];
    if (plan) {
      reply.setHeader('Content-Type', 'image/svg+xml');
      return reply.end(pictures[plan]);
    }
    switch (path) {
      case '/session': return json(reply, w.session);
      case '/status': return json(reply, status(w));
      case '/alarms': return json(reply, { alarms: url.searchParams.get('live') ? w.alarms.filter((a) => a.state !== 'cleared') : w.alarms });
      case '/cameras/viewers': return json(reply, w.viewers ?? { viewers: [], failed: [] });
      case '/cameras': return json(reply, { cameras: w.cameras });
      case '/sensors': return json(reply, { sensors: w.sensors });
      case '/plans': return json(reply, { plans: w.plans });
      case '/shift-notes': return json(reply, { notes: w.notes });
      case '/openapi.json': return json(reply, { paths: Object.fromEntries(stage.paths.map((p) => [`/api/v1${p}`, {}])) });
      case '/events':
        reply.setHeader('Content-Type', 'text/event-stream');
        reply.write(`retry: 200\n\nevent: status\ndata: ${JSON.stringify(status(w))}\n\n`);
        streams.add(reply);
        req.on('close', () => streams.delete(reply));
        return undefined;
      default: return undefined; // nobody answers: a picture that is being connected
    }
  }
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    push(type, data) {
      for (const s of streams) s.write(`event: ${type}\ndata: ${JSON.stringify({ seq: 1, type, subject: '', time: ago(0), data })}\n\n`);
    },
    /** Breaks every stream off, as a session that ends does. */
    hangUp() {
      for (const s of streams) s.end();
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What an officer does, done to the records. */
function deed(w, id, what, method, order) {
  const d = w.details[id];
  const by = { by: w.session.actor.account, name: w.session.actor.name, at: ago(0) };
  if (what === 'answers') {
    d.alarm.answers = [...(d.alarm.answers ?? []), { ...by, kind: order.kind, note: order.note }];
    d.alarm.state = 'acknowledged';
  }
  if (what === 'take') d.alarm.takenBy = method === 'DELETE' ? null : { ...by, seat: order.seat };
  if (what === 'notes') d.alarm.notes = [...(d.alarm.notes ?? []), { ...by, text: order.text }];
  if (what === 'shelf') d.alarm.shelf = method === 'DELETE' ? null : { ...by, until: ago(-order.minutes * 60), why: order.why };
  if (what === 'calls') {
    d.response ??= { alarm: id, tellings: [], step: 0 };
    d.response.calls = [...(d.response.calls ?? []), { ...by, ...order }];
    return { response: d.response };
  }
  return { alarm: d.alarm };
}

/** Runs in the page before its own scripts: a camera's picture without a camera. */
export function playCameras() {
  window.RTCPeerConnection = class extends EventTarget {
    iceGatheringState = 'complete';
    connectionState = 'new';
    localDescription = { sdp: 'v=0' };
    addTransceiver() { return {}; }
    async createOffer() { return {}; }
    async setLocalDescription() {
      const canvas = document.createElement('canvas');
      canvas.width = 640;
      canvas.height = 360;
      const at = canvas.getContext('2d');
      const draw = () => {
        at.fillStyle = '#3a4149';
        at.fillRect(0, 0, 640, 360);
        at.fillStyle = '#59626b';
        for (const [x, w] of [[40, 70], [150, 40], [450, 40], [530, 70]]) at.fillRect(x, 120 - w / 2, w, 180 + w / 2);
        at.fillStyle = '#8f989f';
        at.fillRect(230, 40, 180, 8);
        at.fillStyle = '#dfe3e6';
        at.font = '20px sans-serif';
        at.fillText(new Date().toLocaleTimeString('zh-CN', { hour12: false }), 530, 28);
      };
      draw();
      this.timer = setInterval(draw, 200);
      const stream = canvas.captureStream(5);
      setTimeout(() => this.ontrack?.({ track: stream.getVideoTracks()[0], streams: [stream] }), 50);
    }
    async setRemoteDescription() {}
    close() { clearInterval(this.timer); }
  };
}
