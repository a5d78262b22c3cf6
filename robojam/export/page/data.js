"use strict";

// The recording: decodes its columns, and answers what holds at a time. See html.py, rice.py.

/** The tables that the export has written into the page. */
const TABLES = JSON.parse(document.getElementById("recording").textContent);

/** Decode a column of count integers from its code in base64, as rice.py describes it. */
function decodeColumn([count, text]) {
  const { block, escape, wide } = TABLES.rice;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const values = new Float64Array(count);
  let at = 0;
  /** The next 32 bits; zeros behind the end. */
  const peek = () => {
    const i = at >> 3;
    const high = (bytes[i] << 24) | (bytes[i + 1] << 16) | (bytes[i + 2] << 8) | bytes[i + 3];
    return (high << (at & 7)) | (bytes[i + 4] >> (8 - (at & 7)));
  };
  const number = (bits) => {
    if (bits > 24) return number(bits - 24) * 2 ** 24 + number(24);
    const value = bits && peek() >>> (32 - bits);
    at += bits;
    return value;
  };
  let last = 0;
  for (let start = 0; start < count; start += block) {
    const order = number(1);
    const k = number(5);
    for (let i = start; i < Math.min(count, start + block); i++) {
      const zeros = Math.clz32(peek()); // an escape has 20
      at += zeros + 1;
      const u = zeros === escape ? number(wide) : zeros * 2 ** k + number(k);
      const value = u % 2 ? -(u + 1) / 2 : u / 2;
      last = values[i] = order ? last + value : value;
    }
  }
  return values;
}

/** The number of values in a sorted array, up to a count, that are at most value. */
function countUpTo(sorted, value, count = sorted.length) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * A recording: its touches and strokes, in the order of their tracks, and their order in time.
 *
 * Of touch i: t (seconds), x, y, dt, pressure (-1: none), speed (smoothed, screens a second).
 * Of stroke s: its player, its touches first[s] to first[s + 1] - 1, and lifted (seconds).
 */
class Recording {
  constructor(tables) {
    const column = {};
    for (const [name, code] of Object.entries(tables.columns)) column[name] = decodeColumn(code);
    this.players = tables.players;
    this.seconds = tables.seconds;
    this.firstTurn = tables.firstTurn;
    let turn = 0;
    this.turns = column.turns.map((steps) => (turn += steps) / tables.second);
    this.changes = tables.changes;
    const touches = column.dts.length;
    const strokes = column.lengths.length;
    const steps = new Float64Array(touches);
    for (const name of ["t", "dt"]) this[name] = new Float64Array(touches);
    for (const name of ["x", "y", "pressure", "speed"]) this[name] = new Float32Array(touches);
    this.first = new Uint32Array(strokes + 1);
    this.player = new Uint16Array(strokes);
    this.lifted = new Float64Array(strokes);
    let stroke = 0;
    let touch = 0;
    let further = 0;
    for (let track = 0; track < column.owners.length; track++) {
      let now = 0;
      for (let n = column.strokes[track]; n > 0; n--, stroke++) {
        let x = column.left[stroke];
        let y = column.top[stroke];
        now += column.waits[stroke];
        this.first[stroke] = touch;
        this.player[stroke] = column.owners[track];
        for (let i = 0; i <= column.lengths[stroke]; i++, touch++) {
          if (i) {
            now += column.times[further];
            x += column.dx[further];
            y += column.dy[further++];
          }
          steps[touch] = now;
          this.t[touch] = now / tables.second;
          this.x[touch] = x / tables.steps;
          this.y[touch] = y / tables.steps;
          this.pressure[touch] = column.pressures[touch] < 0 ? -1 : column.pressures[touch] / tables.steps;
          if (i) this.speed[touch] = this._smoothed(touch, tables.look.smoothing);
        }
        now += column.holds[stroke];
        this.lifted[stroke] = now / tables.second;
      }
    }
    this.first[strokes] = touch;
    this._orderTouches(steps, column.dts, tables.second);
    this._orderStrokes();
  }

  _smoothed(i, share) {
    const way = Math.hypot(this.x[i] - this.x[i - 1], this.y[i] - this.y[i - 1]);
    const speed = way / Math.max(0.004, this.t[i] - this.t[i - 1]);
    return this.speed[i - 1] + (speed - this.speed[i - 1]) * share;
  }

  /** Find the order of touches and lifts in time, and each touch's dt. */
  _orderTouches(steps, dts, second) {
    const touches = this.t.length;
    const strokes = this.player.length;
    // Event 2i is touch i; event 2i + 1 is the lift of the stroke whose last touch is i. So
    // events of one time are in the order of their tracks.
    const events = new Float64Array(touches + strokes);
    this.strokeOf = new Uint32Array(touches);
    for (let i = 0, n = 0, s = 0; i < touches; i++) {
      this.strokeOf[i] = s;
      events[n++] = 2 * i;
      if (i === this.first[s + 1] - 1) {
        events[n++] = 2 * i + 1;
        s++;
      }
    }
    const time = (event) =>
      event % 2 ? this.lifted[this.strokeOf[(event - 1) / 2]] : this.t[event / 2];
    this.events = events.sort((a, b) => time(a) - time(b) || a - b);
    this.times = this.events.map(time);
    const last = new Map();
    for (const event of this.events) {
      if (event % 2) continue;
      const i = event / 2;
      const player = this.player[this.strokeOf[i]];
      const since = last.has(player) ? steps[i] - last.get(player) : 0;
      last.set(player, steps[i]);
      this.dt[i] = (dts[i] + since) / second;
    }
  }

  /** Find the order of strokes by their landing, and until when those so far are seen. */
  _orderStrokes() {
    this.byLanding = Uint32Array.from(this.player.keys());
    this.byLanding.sort((a, b) => this.t[this.first[a]] - this.t[this.first[b]] || a - b);
    this.landings = Float64Array.from(this.byLanding, (s) => this.t[this.first[s]]);
    let latest = -Infinity;
    this.seenUntil = Float64Array.from(this.byLanding, (s) => (latest = Math.max(latest, this.lifted[s])));
  }

  /** The strokes of fingers that are down at t or were within some seconds before, by landing. */
  strokesAt(t, within) {
    const found = [];
    for (let n = countUpTo(this.landings, t) - 1; n >= 0 && this.seenUntil[n] > t - within; n--) {
      if (this.lifted[this.byLanding[n]] > t - within) found.push(this.byLanding[n]);
    }
    return found.reverse();
  }

  /** Whose turn it is at t: "human", "ai", or "" where nothing is recorded. */
  turnAt(t) {
    const changed = countUpTo(this.turns, t) % 2 === 1;
    if (!changed) return this.firstTurn;
    return this.firstTurn === "ai" ? "human" : "ai";
  }
}
