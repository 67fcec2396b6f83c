// @ts-check
// One viewing of one camera by WHEP: an offer is posted, an answer comes back,
// pictures flow until close(). It never retries; who watches it decides that.
import { problemOf, Problem } from '../state/api.js';
import { t, wordFor } from '../words/words.js';

const gatherMost = 1_000; // the server is reachable by our host addresses; more is not worth the wait
const answerMost = 15_000; // a centre first has its station dial in
const connectMost = 6_000; // a path that has not answered by then is shut

/** @param {RTCPeerConnection} pc */
export function gathered(pc) {
  return new Promise((done) => {
    if (pc.iceGatheringState === 'complete') return done(null);
    const timer = setTimeout(done, gatherMost);
    pc.addEventListener('icegatheringstatechange', () => {
      if (pc.iceGatheringState !== 'complete') return;
      clearTimeout(timer);
      done(null);
    });
  });
}

/** @param {RTCRtpTransceiver} transceiver asks for what cameras send, and its repair */
function preferTaken(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities?.('video')?.codecs ?? [];
  const wanted = codecs.filter((c) => /\/(h264|h265|rtx)$/i.test(c.mimeType));
  if (wanted.some((c) => /h264/i.test(c.mimeType))) transceiver.setCodecPreferences?.(wanted);
}

/**
 * What was tried and in vain, in plain words: by these pairs of addresses a
 * firewall is found.
 * @param {RTCPeerConnection} pc
 */
async function triedPairs(pc) {
  const stats = await pc.getStats().catch(() => null);
  /** @type {Map<string, any>} */
  const all = new Map();
  stats?.forEach((/** @type {any} */ s) => all.set(s.id, s));
  const pairs = new Set();
  for (const s of all.values()) {
    if (s.type !== 'candidate-pair') continue;
    const to = all.get(s.remoteCandidateId);
    if (!to) continue;
    const state = wordFor(`live.ice.${s.state}`) || s.state;
    pairs.add(t('live.ice.pair', { protocol: String(to.protocol ?? '').toUpperCase(), address: `${to.address ?? to.ip ?? '?'}:${to.port ?? '?'}`, state }));
  }
  return pairs.size ? t('live.ice.pairs', { pairs: [...pairs].join(', ') }) : t('live.ice.none');
}

export class Whep {
  /**
   * @param {string} camera @param {string} role which of the camera's streams: "focus", "wall"
   * @param {{onStream: (s: MediaStream) => void, onEnd: (p: Problem) => void}} told onEnd comes once, unless close() came first
   */
  constructor(camera, role, told) {
    this.camera = camera;
    this.role = role;
    this.told = told;
    this.location = '';
    this.over = false;
    this.graceTimer = 0;
    this.connected = false;
    this.connectTimer = 0;
    this.abort = new AbortController();
    this.pc = new RTCPeerConnection();
    this.stream = new MediaStream();
    this.pc.ontrack = (e) => this.took(e.track);
    this.pc.onconnectionstatechange = () => this.changed();
    this.dial();
  }

  /** A picture is there as soon as it is promised, a sound when something is heard: a camera without one has the track all the same. @param {MediaStreamTrack} track */
  took(track) {
    const add = () => {
      if (this.over) return;
      this.stream.addTrack(track);
      this.told.onStream(this.stream);
    };
    if (track.kind === 'audio' && track.muted) track.addEventListener('unmute', add, { once: true });
    else add();
  }

  async dial() {
    const { pc } = this;
    const timer = setTimeout(() => this.abort.abort(), answerMost);
    try {
      preferTaken(pc.addTransceiver('video', { direction: 'recvonly' }));
      pc.addTransceiver('audio', { direction: 'recvonly' });
      await pc.setLocalDescription(await pc.createOffer());
      await gathered(pc);
      const reply = await fetch(`/api/v1/cameras/${encodeURIComponent(this.camera)}/whep?role=${this.role}`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp' },
        body: pc.localDescription?.sdp ?? '',
        signal: this.abort.signal,
      });
      if (!reply.ok) throw await problemOf(reply);
      this.location = reply.headers.get('Location') ?? '';
      const sdp = await reply.text();
      if (this.over) return this.hangUp(); // closed while the answer was under way
      await pc.setRemoteDescription({ type: 'answer', sdp });
      this.connectTimer = setTimeout(() => this.unreached(), connectMost);
    } catch (err) {
      this.end(err instanceof Problem ? err : new Problem(0, 'lost', t('live.noAnswer')));
    } finally {
      clearTimeout(timer);
    }
  }

  changed() {
    const state = this.pc.connectionState;
    clearTimeout(this.graceTimer);
    if (state === 'connected') {
      this.connected = true;
      clearTimeout(this.connectTimer);
    }
    if (state === 'failed' && !this.connected) this.unreached();
    else if (state === 'failed' || state === 'closed') this.end(new Problem(0, 'lost', t('live.broken')));
    // A short break mends itself; a long one does not.
    if (state === 'disconnected') this.graceTimer = setTimeout(() => this.end(new Problem(0, 'lost', t('live.broken'))), 5_000);
  }

  /** No path to the video port was found. */
  async unreached() {
    clearTimeout(this.connectTimer);
    if (this.over || this.connected) return;
    const why = await triedPairs(this.pc);
    this.end(new Problem(0, 'unreached', why));
  }

  /** The viewing broke. The server has noticed or will; there is nobody to take leave of. @param {Problem} problem */
  end(problem) {
    if (this.over) return;
    this.location = '';
    this.close();
    this.told.onEnd(problem);
  }

  /** Takes leave first and closes then: a connection that closes by itself ends the session, and the leave would find nothing. */
  hangUp() {
    const at = this.location;
    this.location = '';
    const url = at ? new URL(at, location.origin) : null;
    if (!url || url.origin !== location.origin) return this.pc.close();
    // keepalive: the page may be going away.
    fetch(url, { method: 'DELETE', keepalive: true })
      .catch(() => {})
      .finally(() => this.pc.close());
  }

  close() {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.graceTimer);
    clearTimeout(this.connectTimer);
    this.abort.abort();
    this.pc.ontrack = this.pc.onconnectionstatechange = null;
    this.hangUp();
  }
}
