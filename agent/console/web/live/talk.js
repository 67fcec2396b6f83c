// @ts-check
// One person's voice on its way to one camera, by WHIP: the microphone is opened,
// an offer is posted, an answer comes back, and what is said is heard there until
// close(). It never tries again; who speaks decides that.
import { problemOf, Problem } from '../state/api.js';
import { t } from '../words/words.js';
import { gathered } from './whep.js';

const answerMost = 15_000; // the station first calls the camera
const connectMost = 6_000; // a path that has not answered by then is shut
const breakMost = 2_000; // a longer break is the end: nobody speaks into nothing
const levelEvery = 60;

/** What the microphone is asked for. */
const voice = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/** Why there is no microphone, in words. @param {any} err */
function micProblem(err) {
  switch (err?.name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return new Problem(0, 'talk.denied', t('talk.denied'), t('talk.denied.hint'));
    case 'NotFoundError':
    case 'OverconstrainedError':
      return new Problem(0, 'talk.noMic', t('talk.noMic'), t('talk.noMic.hint'));
    case 'NotReadableError':
    case 'AbortError':
      return new Problem(0, 'talk.busyMic', t('talk.busyMic'), t('talk.busyMic.hint'));
  }
  return new Problem(0, 'talk.mic', t('talk.mic'), String(err?.message ?? err ?? ''));
}

/** Offers nothing but what the camera takes. @param {RTCRtpTransceiver} transceiver @param {string} codec */
function preferTaken(transceiver, codec) {
  const all = RTCRtpSender.getCapabilities?.('audio')?.codecs ?? [];
  const wanted = all.filter((c) => c.mimeType.toUpperCase() === `AUDIO/${codec}`);
  if (wanted.length) transceiver.setCodecPreferences?.(wanted);
}

export class Talk {
  /**
   * @param {string} camera @param {string} codec that the camera takes
   * @param {{onMic: () => void, onOpen: () => void, onLevel: (level: number) => void, onEnd: (p: Problem) => void}} told
   *   onMic: the microphone is open; onOpen: from now on it is heard; onLevel: how loud it is, 0 to 1;
   *   onEnd comes once, unless close() came first
   */
  constructor(camera, codec, told) {
    this.camera = camera;
    this.codec = codec;
    this.told = told;
    this.location = '';
    this.over = false;
    this.open = false;
    this.timer = 0;
    this.meter = 0;
    this.abort = new AbortController();
    /** @type {MediaStream|null} */
    this.mic = null;
    /** @type {AudioContext|null} */
    this.ear = null;
    /** @type {RTCPeerConnection|null} */
    this.pc = null;
    this.dial();
  }

  async dial() {
    const late = setTimeout(() => this.abort.abort(), answerMost);
    try {
      // Browsers lend the microphone to pages of HTTPS, and of this machine, alone.
      if (!navigator.mediaDevices?.getUserMedia) throw new Problem(0, 'talk.insecure', t('talk.insecure'), t('talk.insecure.hint'));
      const mic = await navigator.mediaDevices.getUserMedia({ audio: voice, video: false }).catch((err) => {
        throw micProblem(err);
      });
      if (this.over) return mic.getTracks().forEach((track) => track.stop());
      this.mic = mic;
      this.told.onMic();
      this.listen(mic);
      const pc = (this.pc = new RTCPeerConnection());
      pc.onconnectionstatechange = () => this.changed();
      preferTaken(pc.addTransceiver(mic.getAudioTracks()[0], { direction: 'sendonly', streams: [mic] }), this.codec);
      await pc.setLocalDescription(await pc.createOffer());
      await gathered(pc);
      const reply = await fetch(`/api/v1/cameras/${encodeURIComponent(this.camera)}/talk`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp' },
        body: pc.localDescription?.sdp ?? '',
        signal: this.abort.signal,
      });
      if (!reply.ok) throw await problemOf(reply);
      this.location = reply.headers.get('Location') ?? '';
      const sdp = await reply.text();
      if (this.over) return this.hangUp(); // let go while the answer was under way
      await pc.setRemoteDescription({ type: 'answer', sdp });
      this.timer = setTimeout(() => !this.open && this.end(new Problem(0, 'unreached', t('talk.unreached'), t('talk.unreached.hint'))), connectMost);
    } catch (err) {
      this.end(err instanceof Problem ? err : new Problem(0, 'lost', t('live.noAnswer')));
    } finally {
      clearTimeout(late);
    }
  }

  /** Shows how loud the microphone is. @param {MediaStream} mic */
  listen(mic) {
    const ear = (this.ear = new AudioContext());
    const look = ear.createAnalyser();
    look.fftSize = 1024;
    ear.createMediaStreamSource(mic).connect(look);
    ear.resume().catch(() => {}); // it stays still: the voice goes all the same
    const wave = new Float32Array(look.fftSize);
    this.meter = setInterval(() => {
      look.getFloatTimeDomainData(wave);
      let sum = 0;
      for (const v of wave) sum += v * v;
      const decibels = 10 * Math.log10(sum / wave.length + 1e-9);
      this.told.onLevel(Math.min(1, Math.max(0, (decibels + 55) / 45)));
    }, levelEvery);
  }

  changed() {
    const state = this.pc?.connectionState;
    if (state === 'connected') {
      clearTimeout(this.timer);
      if (!this.open) this.told.onOpen();
      this.open = true;
    }
    if (state === 'failed' || state === 'closed') this.broke();
    if (state === 'disconnected') this.timer = setTimeout(() => this.broke(), breakMost);
  }

  broke() {
    this.end(this.open ? new Problem(0, 'talk.broken', t('talk.broken')) : new Problem(0, 'unreached', t('talk.unreached'), t('talk.unreached.hint')));
  }

  /** @param {Problem} problem */
  end(problem) {
    if (this.over) return;
    this.close();
    this.told.onEnd(problem);
  }

  hangUp() {
    const at = this.location;
    this.location = '';
    const url = at ? new URL(at, location.origin) : null;
    if (!url || url.origin !== location.origin) return this.pc?.close();
    // keepalive: the page may be going away. A talk that has ended there is not found.
    fetch(url, { method: 'DELETE', keepalive: true })
      .catch(() => {})
      .finally(() => this.pc?.close());
  }

  /** The station has ended it: there is nothing to hang up. */
  ended() {
    this.location = '';
    this.close();
  }

  close() {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.timer);
    clearInterval(this.meter);
    this.mic?.getTracks().forEach((track) => track.stop()); // at once: nothing more is heard
    this.ear?.close().catch(() => {});
    this.abort.abort();
    if (this.pc) this.pc.onconnectionstatechange = null;
    this.hangUp();
  }
}
