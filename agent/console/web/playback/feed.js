// @ts-check
// One camera's record in one <video>: a media source that is fed with what lies
// around the moment that is shown. It keeps no time of its own; whoever owns the
// clock says where it stands, and is told whether there is a picture.
import { problemOf, Problem } from '../state/api.js';
import { Boxes } from './moov.js';

/** @typedef {'loading'|'ready'|'none'|'codec'|'failed'} FeedState */

const ahead = 12_000; // ms of the record that are kept ready, at the speed of the wall
const behind = 20_000; // … and are kept for stepping back
const firstPiece = 4_000; // a seek asks for little, so that the first picture is there soon
const piece = 10_000;
const drift = 0.08; // seconds by which a picture may be off before its speed is corrected
const jump = 0.5; // … before it is set anew
const retryAfter = 2_000;

export class Feed {
  /** @param {string} camera @param {HTMLVideoElement} video */
  constructor(camera, video) {
    this.camera = camera;
    this.video = video;
    this.keys = false;
    this.sound = false;
    this.every = 0;
    /** @type {FeedState} */
    this.state = 'loading';
    /** What it cannot show, or what went wrong. */
    this.why = '';
    /** Called when more of the record is there. */
    this.came = () => {};
    this.requests = 0; // since it was made
    this.bytes = 0;
    /** Moments of the pictures that are there, ms. @type {number[]} */
    this.times = [];
    /** @type {SourceBuffer|null} */
    this.buffer = null;
    this.type = '';
    /** @type {AbortController|null} */
    this.fetching = null;
    this.next = NaN; // where to go on
    this.turn = 0; // of what is being shown: what belongs to an older one is thrown away
    this.failedAt = -retryAfter;
    /** @type {Promise<void>} */
    this.queue = Promise.resolve();
    this.source = new MediaSource();
    this.opened = new Promise((done) => this.source.addEventListener('sourceopen', () => done(undefined), { once: true }));
    this.url = URL.createObjectURL(this.source);
    video.src = this.url;
  }

  close() {
    this.turn++;
    this.fetching?.abort();
    this.video.pause();
    this.video.removeAttribute('src');
    this.video.load();
    URL.revokeObjectURL(this.url);
  }

  /** Everything, or key pictures alone, so far apart; with sound or without. @param {boolean} keys @param {number} every @param {boolean} sound */
  mode(keys, every, sound) {
    if (keys === this.keys && every === this.every && sound === this.sound) return;
    Object.assign(this, { keys, every, sound });
    this.forget();
  }

  /** Throws away what is there. */
  forget() {
    this.turn++;
    this.fetching?.abort();
    this.fetching = null;
    this.next = NaN;
    this.times = [];
    this.clearing++; // until it is gone it does not count
    this.enqueue(async (b) => {
      if (b.buffered.length) {
        b.remove(0, Infinity);
        await ended(b);
      }
    }).then(() => this.clearing--);
  }

  clearing = 0;

  /** The stretch of what is there that a moment lies in, in ms. @param {number} at */
  stretch(at) {
    if (this.clearing) return null;
    const b = this.video.buffered;
    for (let i = 0; i < b.length; i++) {
      if (at >= b.start(i) * 1000 - 1 && at < b.end(i) * 1000 - 1) return [b.start(i) * 1000, b.end(i) * 1000];
    }
    return null;
  }

  /**
   * Shows a moment. Called often, also while it plays.
   * @param {number} at ms since 1970 @param {number} rate @param {boolean} playing @param {number} until the end of what is recorded there
   * @returns {FeedState}
   */
  follow(at, rate, playing, until) {
    if (this.state === 'codec') return this.state;
    const have = this.stretch(at);
    this.feed(at, rate, have, until);
    if (!have) {
      this.video.pause();
      if (this.state !== 'failed') this.state = this.next > at && !this.fetching && this.next >= until ? 'none' : 'loading';
      return this.state;
    }
    const want = at / 1000;
    const v = this.video;
    const off = want - v.currentTime;
    // A seek to what was thrown away meanwhile would wait for ever.
    const busy = v.seeking && this.stretch(v.currentTime * 1000) !== null;
    if (!playing) {
      if (!v.paused) v.pause();
      if (Math.abs(off) > 0.001 && !busy) v.currentTime = want;
    } else {
      if (Math.abs(off) > jump * Math.max(1, rate)) {
        if (!busy) v.currentTime = want;
      }
      const speed = clamp(Math.abs(off) < drift * Math.max(1, rate) ? rate : rate * (1 + clamp(off / Math.max(1, rate), -0.2, 0.2)));
      if (Math.abs(v.playbackRate - speed) > 0.001) v.playbackRate = speed;
      if (v.paused && !v.seeking) v.play().catch(() => {}); // asked again at the next call
    }
    this.state = v.readyState >= 2 && !(v.seeking && Math.abs(off) > jump * Math.max(1, rate)) ? 'ready' : 'loading';
    return this.state;
  }

  /** Fetches what is missing. @param {number} at @param {number} rate @param {number[]|null} have @param {number} until */
  feed(at, rate, have, until) {
    if (performance.now() - this.failedAt < retryAfter) return;
    const far = ahead * Math.max(1, rate);
    if (!have) {
      // What is on its way may bring it; anything else is given up for it.
      if (this.fetching && at >= this.from - 1 && at < this.next) return;
      if (!this.fetching && this.next > at && this.from <= at) {
        if (this.next < until && this.next - at < far) this.load(this.next, this.next + piece * Math.max(1, rate), at);
        return;
      }
      this.forget();
      this.load(at, at + firstPiece * Math.max(1, rate), at);
      return;
    }
    if (this.fetching || this.next >= until) return;
    if (!(this.next > have[0])) this.next = have[1];
    if (this.next - at < far) this.load(this.next, this.next + piece * Math.max(1, rate), at);
  }

  from = NaN;

  /** @param {number} from @param {number} to @param {number} at what is shown */
  async load(from, to, at) {
    const control = new AbortController();
    const turn = this.turn;
    this.fetching = control;
    if (!(this.from <= from && from <= this.next)) this.from = from;
    this.next = to;
    /** @type {Record<string, string>} */
    const query = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    if (this.keys) Object.assign(query, { keys: '1', every: String(this.every) });
    if (!this.sound) query.sound = '0';
    this.requests++;
    try {
      const reply = await fetch(`/api/v1/cameras/${encodeURIComponent(this.camera)}/media?${new URLSearchParams(query)}`, { signal: control.signal, credentials: 'same-origin' });
      if (turn !== this.turn) return;
      if (!reply.ok) throw await problemOf(reply);
      if (reply.status === 204 || !reply.body) return;
      const type = reply.headers.get('Content-Type') ?? '';
      if (!MediaSource.isTypeSupported(type)) {
        this.state = 'codec';
        this.why = codecOf(type);
        return;
      }
      this.next = Date.parse(reply.headers.get('Record-To') ?? '') || to;
      this.tidy(at);
      const boxes = new Boxes();
      const reader = reply.body.getReader();
      for (let first = true; ; first = false) {
        const { done, value } = await reader.read();
        if (done || turn !== this.turn) break;
        this.bytes += value.length;
        const { bytes, times } = boxes.give(value);
        if (bytes) this.append(bytes, times, first ? type : '', turn);
      }
      await this.queue;
      this.why = '';
      if (this.state === 'failed') this.state = 'loading';
    } catch (err) {
      if (turn !== this.turn || control.signal.aborted) return;
      this.next = from;
      this.failedAt = performance.now();
      this.state = 'failed';
      this.why = err instanceof Problem ? err.message : '';
    } finally {
      if (this.fetching === control) this.fetching = null;
    }
  }

  /** One after the other, as the source demands. @param {(b: SourceBuffer) => Promise<void>} work */
  enqueue(work) {
    this.queue = this.queue.then(async () => {
      if (!this.buffer || this.source.readyState !== 'open') return;
      await work(this.buffer);
    }).catch(() => {}); // a source that has gone needs nothing
    return this.queue;
  }

  /** @param {Uint8Array} bytes @param {number[]} times @param {string} type @param {number} turn */
  append(bytes, times, type, turn) {
    this.queue = this.queue.then(async () => {
      if (turn !== this.turn) return;
      await this.opened;
      if (!this.buffer) {
        this.buffer = this.source.addSourceBuffer(type);
        this.type = type;
      } else if (type && type !== this.type) {
        this.buffer.changeType(type);
        this.type = type;
      }
      for (let tries = 0; ; tries++) {
        try {
          this.buffer.appendBuffer(/** @type {BufferSource} */ (bytes));
          break;
        } catch (err) {
          if (/** @type {any} */ (err).name !== 'QuotaExceededError' || tries > 1) throw err;
          this.buffer.remove(0, Math.max(0.001, this.video.currentTime - 2));
          await ended(this.buffer);
        }
      }
      await ended(this.buffer);
      if (turn !== this.turn) return;
      this.learn(times);
      this.came();
    }).catch(() => {}); // the video says itself what it cannot read
  }

  /** @param {number[]} times */
  learn(times) {
    if (!times.length) return;
    const first = times[0];
    const all = times[times.length - 1] < (this.times[0] ?? Infinity) ? [...times, ...this.times] : [...this.times.filter((x) => x < first - 0.5), ...times];
    this.times = all.sort((a, b) => a - b);
  }

  /** Throws away what lies far behind and far ahead. @param {number} at */
  tidy(at) {
    const from = (at - behind) / 1000;
    this.times = this.times.filter((x) => x >= at - behind);
    this.enqueue(async (b) => {
      if (b.buffered.length && b.buffered.start(0) < from - 5) {
        b.remove(0, from);
        await ended(b);
      }
    });
  }

  /** The moment of the picture before or behind a moment; NaN where it is not there. @param {number} at @param {number} step -1 or 1 */
  neighbour(at, step) {
    const list = this.times;
    let here = -1;
    for (let i = 0; i < list.length && list[i] <= at + 0.5; i++) here = i;
    const next = here + step;
    return here < 0 || next < 0 || next >= list.length ? NaN : list[next];
  }
}

/** Browsers refuse other speeds. @param {number} rate */
const clamp = (rate, least = 0.0625, most = 16) => Math.min(most, Math.max(least, rate));

/** Waits until the source has done what it was told. @param {SourceBuffer} b @returns {Promise<void>} */
function ended(b) {
  if (!b.updating) return Promise.resolve();
  return new Promise((done) => b.addEventListener('updateend', () => done(), { once: true }));
}

/** @param {string} type */
const codecOf = (type) => (/hvc1|hev1/.test(type) ? 'H.265' : /avc/.test(type) ? 'H.264' : '');
