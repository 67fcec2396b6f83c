// The other side of the console: what the test's Go side does for the script
// (sensors alarm, cameras are cut), and the API where it is quicker than clicking.

const base = process.env.STATIOND_RIG;
if (!base) throw new Error('this script is run by TestBrowser: go test -run TestBrowser ./cmd/stationd');

async function call(method, path, body) {
  const reply = await fetch(base + path, { method, body: body && JSON.stringify(body) });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`rig: ${method} ${path}: ${reply.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** Addresses, claim links, cameras and sensors of the rig. */
export const facts = () => call('GET', '/');
/** Lets the simulated sensors publish with an account of the station's broker. */
export const startSensors = (credential) => call('POST', '/sensors', credential);
/** A sensor alarms; returns once the station has acknowledged the message. */
export const alarm = (sensor) => call('POST', `/alarm/${sensor}`);
/** A sensor is normal again. */
export const normal = (sensor) => call('POST', `/normal/${sensor}`);
/** A camera's power goes. */
export const cutCamera = (camera) => call('POST', `/cut/${camera}`);
/** The centre's machine goes. */
export const killCentre = () => call('POST', '/kill-centre');

/** The API with the page's own session. */
export function api(page, origin) {
  const send = async (method, path, data) => {
    const reply = await page.request.fetch(`${origin}/api/v1${path}`, { method, data });
    if (!reply.ok()) throw new Error(`${method} ${path}: ${reply.status()} ${await reply.text()}`);
    return reply.status() === 204 ? null : reply.json();
  };
  return { get: (path) => send('GET', path), put: (path, data) => send('PUT', path, data), post: (path, data) => send('POST', path, data) };
}

/** Connects the estate's devices with an account of the station's broker. */
export const openLine = (credential) => call('POST', '/line', credential);
/** Lets a device of the estate speak; moment: alarm, value. Returns once all of it is acknowledged. */
export const say = (unit, moment = {}) => call('POST', `/say/${unit}?${new URLSearchParams(moment)}`);
/** Where an outside system is told of alarms, and what it was told. */
export const system = `${base}/system`;
export const heard = () => call('GET', '/system');

/** Lets the crowd of sensors loose; tells whether it still storms; a smoke detector alarms in the middle. */
export const storm = () => call('POST', '/storm');
export const storms = () => call('GET', '/storm');
export const smoke = () => call('POST', '/smoke');

/** The one camera's power goes, and comes back. */
export const cut = () => call('POST', '/cut');
export const restore = () => call('POST', '/restore');

/** Lets a camera fail or come back: cut, hang, reboot, restore. Tells when that was. */
export const deed = (what, camera) => call('POST', `/${what}/${camera}`);

/** What the camera's loudspeaker was sent. */
export const loudspeaker = () => call('GET', '/loudspeaker');
