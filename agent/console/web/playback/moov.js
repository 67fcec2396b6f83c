// @ts-check
// What the player must know of the bytes that it passes on: where each picture
// stands. A browser's media source does not tell, and without it a step by one
// picture would be a guess.

const scale = 90_000; // ticks a second of the record's pictures

/**
 * Reads fragments as they come in, in pieces of any size: give() takes a piece and
 * returns whole boxes that may be passed on, and the moments of the pictures in
 * them, in milliseconds since 1970.
 */
export class Boxes {
  constructor() {
    /** @type {Uint8Array} */
    this.rest = new Uint8Array(0);
  }

  /** @param {Uint8Array} piece @returns {{bytes: Uint8Array|null, times: number[]}} */
  give(piece) {
    const all = new Uint8Array(this.rest.length + piece.length);
    all.set(this.rest);
    all.set(piece, this.rest.length);
    const view = new DataView(all.buffer);
    /** @type {number[]} */
    const times = [];
    let at = 0;
    let whole = 0; // behind the last mdat or moov
    while (at + 8 <= all.length) {
      const size = view.getUint32(at);
      if (size < 8 || at + size > all.length) break;
      const kind = view.getUint32(at + 4);
      if (kind === 0x6d6f6f66) pictures(view, at + 8, at + size, times); // moof
      at += size;
      if (kind === 0x6d646174 || kind === 0x6d6f6f76) whole = at; // mdat, moov
    }
    this.rest = all.slice(whole);
    return { bytes: whole ? all.subarray(0, whole) : null, times };
  }
}

/** The pictures of the first traf, which is theirs. @param {DataView} view @param {number} from @param {number} to @param {number[]} times */
function pictures(view, from, to, times) {
  for (let at = from; at + 8 <= to; at += Math.max(8, view.getUint32(at))) {
    if (view.getUint32(at + 4) !== 0x74726166) continue; // traf
    const end = at + view.getUint32(at);
    let base = 0;
    for (let x = at + 8; x + 8 <= end; x += Math.max(8, view.getUint32(x))) {
      const kind = view.getUint32(x + 4);
      if (kind === 0x74666474) base = view.getUint8(x + 8) === 1 ? view.getUint32(x + 12) * 2 ** 32 + view.getUint32(x + 16) : view.getUint32(x + 12); // tfdt
      if (kind === 0x7472756e) samples(view, x, base, times); // trun
    }
    return;
  }
}

/** @param {DataView} view @param {number} trun @param {number} base @param {number[]} times */
function samples(view, trun, base, times) {
  const flags = view.getUint32(trun + 8) & 0xffffff;
  const count = view.getUint32(trun + 12);
  let at = trun + 16 + (flags & 0x1 ? 4 : 0) + (flags & 0x4 ? 4 : 0);
  const [hasDuration, hasSize, hasFlags, hasShift] = [flags & 0x100, flags & 0x200, flags & 0x400, flags & 0x800];
  for (let i = 0; i < count; i++) {
    let duration = 0;
    let shift = 0;
    if (hasDuration) {
      duration = view.getUint32(at);
      at += 4;
    }
    if (hasSize) at += 4;
    if (hasFlags) at += 4;
    if (hasShift) {
      shift = view.getInt32(at);
      at += 4;
    }
    times.push(((base + shift) / scale) * 1000);
    base += duration;
  }
}
