// @ts-check
// One viewing of one camera over a WebSocket, where WebRTC does not reach: the
// format as text, then fragments of MP4, which a media source plays. It never
// retries; who watches it decides that.
import { Problem } from '../state/api.js';
import { t } from '../words/words.js';

const behindMost = 1.2; // seconds behind the newest picture, before it jumps there
const behindLeast = 0.15;
const keepMost = 12; // seconds of what was shown

/** The kind of media source that this browser has; phones of Apple have a managed one. @returns {typeof MediaSource|undefined} */
const sourceKind = () => /** @type {any} */ (globalThis).MediaSource ?? /** @type {any} */ (globalThis).ManagedMediaSource;

/** The sound that may come, and how a media source is asked for it. */
const sounds = [['aac', 'mp4a.40.2'], ['opus', 'opus']];

export const canSocket = () => typeof WebSocket === 'function' && !!sourceKind();

export class LiveSocket {
  /**
   * @param {string} camera @param {HTMLVideoElement} video
   * @param {{onEnd: (p: Problem) => void, onSound?: (there: boolean) => void}} told onEnd comes once, unless close() came first
   */
  constructor(camera, video, told) {
    this.video = video;
    this.told = told;
    this.over = false;
    /** @type {ArrayBuffer[]} */
    this.waiting = [];
    /** @type {SourceBuffer|null} */
    this.buffer = null;
    this.address = '';
    const url = new URL(`/api/v1/cameras/${encodeURIComponent(camera)}/live.ws`, location.href);
    if (sourceKind()?.isTypeSupported('video/mp4; codecs="hvc1.1.6.L123.B0"')) url.searchParams.set('h265', 'true');
    url.searchParams.set('sound', sounds.filter(([, type]) => sourceKind()?.isTypeSupported(`video/mp4; codecs="${type}"`)).map(([name]) => name).join(','));
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.socket = new WebSocket(url);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onmessage = (e) => (typeof e.data === 'string' ? this.begin(JSON.parse(e.data)) : this.take(e.data));
    this.socket.onclose = () => this.end(t('live.broken'));
  }

  /** @param {{type: string, sound?: string}} format */
  begin(format) {
    const Kind = sourceKind();
    if (!Kind?.isTypeSupported(format.type)) return this.end(t('live.noSocket'));
    this.forget();
    this.told.onSound?.(!!format.sound);
    const source = new Kind();
    this.address = URL.createObjectURL(source);
    this.video.srcObject = null;
    /** @type {any} */ (this.video).disableRemotePlayback = true; // a managed source asks for it
    this.video.src = this.address;
    source.addEventListener('sourceopen', () => {
      if (this.over || this.buffer) return;
      this.buffer = source.addSourceBuffer(format.type);
      this.buffer.addEventListener('updateend', () => this.more());
      this.buffer.addEventListener('error', () => this.end(t('live.broken')));
      this.more();
    });
    this.video.play().catch(() => {});
  }

  /** @param {ArrayBuffer} piece */
  take(piece) {
    this.waiting.push(piece);
    this.more();
  }

  /** Hands on what waits, lets go of what was shown, and stays at the newest picture. */
  more() {
    const { buffer, video } = this;
    if (this.over || !buffer || buffer.updating) return;
    const n = buffer.buffered.length;
    if (n > 0) {
      const from = buffer.buffered.start(n - 1);
      const newest = buffer.buffered.end(n - 1);
      if (newest - video.currentTime > behindMost || video.currentTime < from) video.currentTime = Math.max(from, newest - behindLeast);
      if (video.currentTime - buffer.buffered.start(0) > 2 * keepMost) return buffer.remove(0, video.currentTime - keepMost);
    }
    const size = this.waiting.reduce((sum, p) => sum + p.byteLength, 0);
    if (!size) return;
    const all = new Uint8Array(size);
    let at = 0;
    for (const p of this.waiting) {
      all.set(new Uint8Array(p), at);
      at += p.byteLength;
    }
    this.waiting = [];
    try {
      buffer.appendBuffer(all);
    } catch {
      this.end(t('live.broken'));
    }
  }

  forget() {
    this.buffer = null;
    this.waiting = [];
    if (this.address) URL.revokeObjectURL(this.address);
    this.address = '';
  }

  /** @param {string} message */
  end(message) {
    if (this.over) return;
    this.close();
    this.told.onEnd(new Problem(0, 'lost', message));
  }

  close() {
    if (this.over) return;
    this.over = true;
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.forget();
    this.video.removeAttribute('src');
    this.video.load();
  }
}
