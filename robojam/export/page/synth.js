// The synthesiser: robojam/sound in JavaScript, with its constants. It knows no clock.

const SOUND = TABLES.sound;

/** A level that falls with pitch, because high notes sound louder. */
const byPitch = (hz) => (220 / hz) ** 0.3;

const rollAt = (age) => (0.5 + 0.5 * Math.cos(2 * Math.PI * 16 * age)) ** 3;

function bodyAt(hz) {
  const octave = Math.log2(hz);
  return SOUND.body.reduce(
    (gain, [centre, width, more]) => gain + more * Math.exp(-(((octave - Math.log2(centre)) / width) ** 2)),
    0.75,
  );
}

/**
 * For each instrument: the amplitudes of its partials (written to levels), of its noise, and the
 * semitones that it is off its pitch. v has hz, age, brightness, energy and velocity.
 */
const TIMBRES = {
  keys: {
    spectrum(v, levels) {
      const slope = 2.9 - 1.7 * v.brightness - 0.5 * v.velocity;
      const length = 1.7 * (220 / v.hz) ** 0.5;
      const bloom = 0.62 + 0.38 * Math.exp(-v.age / 0.11);
      const loud = byPitch(v.hz);
      for (let k = 1; k <= 14; k++) {
        let struck = (0.35 + 0.65 * v.velocity) * k ** -slope;
        if (k === 2) struck *= 0.8 + 0.9 * v.brightness;
        const ringing = struck * bloom * Math.exp((-v.age * (1 + 0.55 * (k - 1))) / length);
        levels[k - 1] = loud * (ringing + 0.5 * v.energy * k ** -(slope + 0.4));
      }
      const knock = loud * (0.3 + v.brightness) * v.velocity;
      levels[14] = 0.1 * knock * Math.exp(-v.age / 0.09);
      levels[15] = 0.035 * knock * Math.exp(-v.age / 0.03);
    },
    noise: (v) => 0.02 * v.velocity * Math.exp(-v.age / 0.006),
    bend: () => 0,
  },
  strings: {
    spectrum(v, levels) {
      const slope = 2.3 - 0.95 * v.brightness - 0.25 * v.energy;
      const bowed = (0.5 + 0.5 * v.energy) * (0.75 + 0.25 * Math.exp(-v.age / 0.3)) * byPitch(v.hz);
      const swell = 1 - Math.exp(-v.age / 0.15);
      for (let k = 1; k <= SOUND.own; k++) {
        const own = bowed * k ** -slope * bodyAt(v.hz * k);
        levels[k - 1] = own;
        if (k <= SOUND.others) levels[SOUND.own + k - 1] = 0.4 * swell * own;
      }
    },
    noise: (v) => 0.5 * (0.01 + 0.035 * v.energy * (0.4 + v.brightness) + 0.05 * Math.exp(-v.age / 0.03)),
    bend: () => 0,
  },
  chirp: {
    spectrum(v, levels) {
      const slope = 4.1 - 3 * v.brightness;
      const flutter = 1 - 0.55 * v.energy * (0.5 - 0.5 * Math.cos(2 * Math.PI * 17 * v.age));
      const song = (0.38 + 0.35 * Math.exp(-v.age / 0.12) + 0.5 * v.energy) * flutter * byPitch(v.hz);
      for (let k = 1; k <= 5; k++) levels[k - 1] = song * k ** -slope;
    },
    noise: () => 0,
    bend: (v) =>
      (-2 - 7 * v.velocity) * Math.exp(-v.age / 0.022) + 0.45 * v.energy * Math.sin(2 * Math.PI * 17 * v.age),
  },
  drums: {
    spectrum(v, levels) {
      const length = 0.34 * (110 / v.hz) ** 0.4;
      const rolled = 0.3 * v.energy * rollAt(v.age);
      const loud = byPitch(v.hz);
      for (let n = 0; n < SOUND.instruments.drums.ratios.length; n++) {
        const struck = (0.3 + 0.7 * v.velocity) * Math.exp((-v.age * (1 + 0.5 * n)) / length);
        levels[n] = (struck + rolled) * Math.exp(-n * (0.75 - 0.6 * v.brightness)) * loud;
      }
    },
    noise(v) {
      const length = 0.02 + 0.09 * v.brightness;
      const once = (0.15 + 0.85 * v.brightness) * v.velocity * Math.exp(-v.age / length);
      return 0.7 * (once + 0.25 * v.energy * (0.3 + v.brightness) * (0.35 + 0.65 * rollAt(v.age)));
    },
    bend: (v) => 5 * v.velocity * Math.exp(-v.age / 0.018),
  },
};

/** One period of a sine, and its first value again. */
const SINE_SIZE = 4096;
const SINE = Float32Array.from({ length: SINE_SIZE + 1 }, (_, i) => Math.sin((2 * Math.PI * i) / SINE_SIZE));

/** Partials that began in phase would make a spike of every landing. */
const BEGIN = Float64Array.from({ length: SOUND.partials }, (_, i) => (0.381966 * i * i) % 1);

const clip = (value, low, high) => Math.min(high, Math.max(low, value));

/** Bands of noise of RMS 1, without a seam, by sample rate. */
const noiseOf = (() => {
  const made = new Map();
  return (rate) => {
    if (!made.has(rate)) made.set(rate, SOUND.air.map(([low, high]) => noiseBand(rate, low, high)));
    return made.get(rate);
  };
})();

function noiseBand(rate, low, high) {
  const size = SOUND.noise;
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  let seed = 1;
  for (let i = 1; i < size / 2; i++) {
    const hz = (i * rate) / size;
    const level = 1 / (1 + (low / Math.max(hz, 1)) ** 4) / (1 + (hz / high) ** 4);
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const angle = (2 * Math.PI * seed) / 2 ** 32;
    real[i] = level * Math.cos(angle);
    imaginary[i] = level * Math.sin(angle);
  }
  fourier(real, imaginary); // the real part is the sum of cosines
  const power = real.reduce((sum, value) => sum + value * value, 0) / size;
  return Float32Array.from(real, (value) => value / Math.sqrt(power));
}

/** Fourier transform in place, of a size that is a power of two (Cooley & Tukey 1965). */
function fourier(real, imaginary) {
  const size = real.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let half = 1; half < size; half *= 2) {
    for (let k = 0; k < half; k++) {
      const c = Math.cos((-Math.PI * k) / half);
      const s = Math.sin((-Math.PI * k) / half);
      for (let i = k; i < size; i += 2 * half) {
        const j = i + half;
        const r = real[j] * c - imaginary[j] * s;
        const m = real[j] * s + imaginary[j] * c;
        real[j] = real[i] - r;
        imaginary[j] = imaginary[i] - m;
        real[i] += r;
        imaginary[i] += m;
      }
    }
  }
}

/** A voice: one finger's sound, from its landing until it has faded. */
class Voice {
  constructor(pool, { instrument, machine, note, brightness, velocity, level, pan, offset, order }) {
    Object.assign(this, SOUND.instruments[instrument], { velocity, order, held: true, stolen: false });
    this.timbre = TIMBRES[instrument];
    this.pool = pool;
    this.age = -offset / pool.rate;
    this.phase = 0;
    this.colour = this.ratios.map((ratio) => (machine && roundEven(ratio) % 2 === 0 ? SOUND.hollow : 1) * this.gain);
    this.current = [note + this.transpose, brightness, 0];
    this.target = [...this.current];
    this.pan = [Math.cos(((pan + 1) * Math.PI) / 4), Math.sin(((pan + 1) * Math.PI) / 4)];
    this.offset = order * 7919;
    this.level = new Float32Array(this.ratios.length + 1);
    this.next = new Float32Array(this.ratios.length + 1);
    this.hz = 1;
    this.hz = this.pitch();
    this.fade = 1;
    this.computeLevels(level);
    this.fade = level;
    [this.level, this.next] = [this.next, this.level];
  }

  get loudness() {
    return this.level.reduce((sum, value) => sum + Math.abs(value), 0) * this.fade;
  }

  get parameters() {
    return {
      hz: this.hz,
      age: Math.max(this.age, 0),
      brightness: clip(this.current[1], 0, 1),
      energy: clip(this.current[2], 0, 1),
      velocity: this.velocity,
    };
  }

  slide(note, brightness, energy) {
    this.target = [note + this.transpose, brightness, energy];
  }

  pitch() {
    return 440 * 2 ** ((this.current[0] + this.timbre.bend(this.parameters) - 69) / 12);
  }

  computeLevels(factor) {
    const parameters = this.parameters;
    const count = this.ratios.length;
    this.timbre.spectrum(parameters, this.next);
    for (let p = 0; p < count; p++) {
      const audible = clip((0.46 - (this.hz * this.ratios[p]) / this.pool.rate) / 0.04, 0, 1);
      this.next[p] *= this.colour[p] * audible * factor;
    }
    this.next[count] = this.timbre.noise(parameters) * this.gain * factor;
  }

  /** Add a tick of sound to left and right, where sounds is true; return whether it goes on. */
  render(now, left, right, sounds) {
    const { tick, rate, follow, rest } = this.pool;
    const seconds = tick / rate;
    for (let i = 0; i < 3; i++) this.current[i] += (this.target[i] - this.current[i]) * follow[i];
    this.target[2] *= rest;
    this.age += seconds;
    const before = this.hz;
    this.hz = this.pitch();
    if (!this.held) this.fade *= Math.exp(-seconds / (this.stolen ? SOUND.stolenFade : this.release));
    const ended = this.fade < SOUND.ended;
    this.computeLevels(ended ? 0 : this.fade);
    if (sounds) this._addWaves(now, before, left, right);
    this.phase += ((before + this.hz) / 2) * seconds;
    [this.level, this.next] = [this.next, this.level];
    return !ended;
  }

  _addWaves(now, before, left, right) {
    const { tick, rate, wave, cycles, ramp } = this.pool;
    const seconds = tick / rate;
    const count = this.ratios.length;
    for (let n = 0; n < tick; n++) {
      cycles[n] = before * seconds * ramp[n] + (((this.hz - before) * seconds) / 2) * ramp[n] * ramp[n];
    }
    wave.fill(0);
    for (let p = 0; p < count; p++) {
      const level = this.level[p];
      const change = this.next[p] - level;
      if (Math.abs(level) + Math.abs(this.next[p]) < 1e-7) continue;
      const ratio = this.ratios[p] * SINE_SIZE;
      const start = ((this.phase * this.ratios[p] + BEGIN[p]) % 1) * SINE_SIZE;
      for (let n = 0; n < tick; n++) {
        const at = start + ratio * cycles[n];
        const whole = Math.floor(at);
        const i = whole & (SINE_SIZE - 1);
        wave[n] += (SINE[i] + (SINE[i + 1] - SINE[i]) * (at - whole)) * (level + change * ramp[n]);
      }
    }
    const noise = this.level[count];
    const louder = this.next[count] - noise;
    if (noise > 1e-6 || this.next[count] > 1e-6) {
      const air = this.pool.air[this.air];
      for (let n = 0; n < tick; n++) {
        wave[n] += air[(now + this.offset + n) % SOUND.noise] * (noise + louder * ramp[n]);
      }
    }
    if (this.age < this.attack + seconds) {
      for (let n = 0; n < tick; n++) {
        const part = clip((this.age - (tick - 1 - n) / rate) / this.attack, 0, 1);
        wave[n] *= part * part * (3 - 2 * part);
      }
    }
    for (let n = 0; n < tick; n++) {
      left[n] += this.pan[0] * wave[n];
      right[n] += this.pan[1] * wave[n];
    }
  }
}

/** A number rounded to a whole one, halves to the even one, as numpy rounds. */
function roundEven(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low & 1) : Math.round(value);
}

/** All voices that sound; a further one steals the faintest. */
class VoicePool {
  constructor(rate, tick) {
    this.rate = rate;
    this.tick = tick;
    this.voices = [];
    this.air = noiseOf(rate);
    this.ramp = Float64Array.from({ length: tick }, (_, n) => (n + 1) / tick);
    this.cycles = new Float64Array(tick);
    this.wave = new Float64Array(tick);
    const share = (seconds) => 1 - Math.exp(-tick / rate / seconds);
    this.follow = [share(SOUND.glide), share(SOUND.follow), share(SOUND.follow)];
    this.rest = Math.exp(-tick / rate / SOUND.rest);
    this.now = 0;
    this.started = 0;
  }

  /** Begin a voice; null where every place is taken by voices that have not faded yet. */
  land(options) {
    const here = this.voices.filter((voice) => !voice.stolen);
    if (here.length >= SOUND.sounding) {
      here.sort((a, b) => a.held - b.held || a.loudness - b.loudness || a.order - b.order);
      here[0].stolen = true;
      here[0].held = false;
    }
    if (this.voices.length >= SOUND.places) {
      const silent = this.voices.findIndex((voice) => voice.age <= 0 && voice.stolen);
      if (silent < 0) return null;
      this.voices.splice(silent, 1);
    }
    const voice = new Voice(this, { ...options, order: ++this.started });
    this.voices.push(voice);
    return voice;
  }

  fadeOut() {
    for (const voice of this.voices) {
      voice.held = false;
      voice.stolen = true;
    }
  }

  render(left, right, sounds) {
    this.voices = this.voices.filter((voice) => voice.render(this.now, left, right, sounds));
    this.now += this.tick;
  }
}

/** A small room: a feedback delay network (Jot & Chaigne 1991), damped in the treble. */
class Reverb {
  constructor(rate, tick) {
    this.tick = tick;
    this.delays = SOUND.delays.map((seconds) => roundEven(seconds * rate));
    const count = this.delays.length;
    this.size = Math.max(...this.delays) + tick + 2;
    this.lines = this.delays.map(() => new Float32Array(this.size));
    this.keep = this.delays.map((delay) => 10 ** ((-3 * delay) / rate / SOUND.decay));
    // Rows and columns of the Hadamard matrix, whose sign is the parity of row & column.
    const sign = (i, j) => 1 - 2 * ((i & j).toString(2).split("1").length % 2 ? 0 : 1);
    this.in = this.delays.map((_, i) => [sign(i, 1) / count + 0.5 / count, sign(i, 2) / count + 0.5 / count]);
    this.out = this.delays.map((_, i) => [sign(4, i) / Math.sqrt(count), sign(9, i) / Math.sqrt(count)]);
    this.damped = new Float64Array(count);
    this.at = 0;
    this.open = this.target = 1;
    this.step = tick / rate / SOUND.fade;
    this.ringTicks = Math.floor((2 * SOUND.decay * rate) / tick);
    this.silentTicks = this.ringTicks + 1;
  }

  get empty() {
    return this.silentTicks > this.ringTicks;
  }

  fadeOut() {
    this.target = 0;
  }

  /** Add the reverb of left and right to outLeft and outRight. */
  render(left, right, outLeft, outRight) {
    if (this.target === 0 && this.open === 0) {
      for (const line of this.lines) line.fill(0);
      this.open = this.target = 1;
    }
    const { lines, delays, size, damped, tick } = this;
    const count = lines.length;
    const norm = 1 / Math.sqrt(count);
    const opened = this.target < 1 ? Math.max(this.open - this.step, this.target) : this.open;
    let loud = false;
    for (let n = 0; n < tick; n++) {
      const at = (this.at + n) % size;
      let wetLeft = 0;
      let wetRight = 0;
      for (let c = 0; c < count; c++) {
        const i = (at - delays[c] + size) % size;
        const line = lines[c];
        const before = line[i ? i - 1 : size - 1];
        const earlier = line[i > 1 ? i - 2 : size - 2 + i];
        const value = (0.5 * before + 0.25 * (line[i] + earlier)) * this.keep[c];
        damped[c] = value;
        wetLeft += this.out[c][0] * value;
        wetRight += this.out[c][1] * value;
      }
      for (let half = 1; half < count; half *= 2) {
        for (let i = 0; i < count; i++) {
          if (i & half) continue;
          const a = damped[i];
          const b = damped[i + half];
          damped[i] = a + b;
          damped[i + half] = a - b;
        }
      }
      const l = left[n];
      const r = right[n];
      loud = loud || l !== 0 || r !== 0;
      for (let c = 0; c < count; c++) {
        lines[c][at] = damped[c] * norm + this.in[c][0] * l + this.in[c][1] * r;
      }
      const gain = this.open + ((opened - this.open) * (n + 1)) / tick;
      outLeft[n] += SOUND.wet * wetLeft * gain;
      outRight[n] += SOUND.wet * wetRight * gain;
    }
    this.silentTicks = loud ? 0 : this.silentTicks + 1;
    this.at = (this.at + tick) % size;
    this.open = opened;
  }
}

/** Holds each tick below the ceiling, without delay. */
class Limiter {
  constructor(rate, tick) {
    this.rise = 1 - Math.exp(-tick / rate / SOUND.letGo);
    this.gain = 1;
  }

  render(left, right) {
    const tick = left.length;
    const { ceiling } = SOUND;
    let highest = 0;
    let first = tick;
    for (let n = 0; n < tick; n++) {
      const peak = Math.max(Math.abs(left[n]), Math.abs(right[n]));
      highest = Math.max(highest, peak);
      if (first === tick && peak * this.gain > ceiling) first = n;
    }
    const allowed = highest > ceiling ? ceiling / highest : 1;
    const falls = allowed < this.gain;
    const aim = falls ? allowed : this.gain + (Math.min(allowed, 1) - this.gain) * this.rise;
    for (let n = 0; n < tick; n++) {
      const share = falls ? Math.min(n / Math.max(first, 1), 1) : (n + 1) / tick;
      const gain = this.gain + (aim - this.gain) * share;
      left[n] = clip(left[n] * gain, -ceiling, ceiling);
      right[n] = clip(right[n] * gain, -ceiling, ceiling);
    }
    this.gain = aim;
  }
}

/** Seconds before a position that are computed at most, for fingers that are down there. */
const MAX_BEFORE = 10;

/**
 * The sound of a recording from a position on, at a sample rate and a speed.
 *
 * It depends on the recording alone: what sounds at the position, and rings from before, is
 * computed from the touches before it.
 */
class Synth {
  constructor(recording, rate, { from = 0, speed = 1 } = {}) {
    this.recording = recording;
    this.rate = rate;
    this.speed = speed;
    this.tick = roundEven(rate / SOUND.ticks);
    this.voices = new VoicePool(rate, this.tick);
    this.reverb = new Reverb(rate, this.tick);
    this.limiter = new Limiter(rate, this.tick);
    this.fader = 1 - Math.exp(-this.tick / rate / SOUND.fader);
    this.settings = { ...recording.changes[0][1] };
    this.held = new Map(); // voices of strokes whose fingers are down
    this.last = new Map(); // the last touch of each player
    this.notes = new Map();
    for (const name of ["dry", "wet"]) this[name] = [0, 1].map(() => new Float64Array(this.tick));
    this._begin(from);
    this.gain = this.settings.volume;
    const ring = this.at - SOUND.decay * rate;
    const end = this.at;
    for (this.at = 0; this.at < end; ) this.render(this.at >= ring);
    this.origin += (end * speed) / rate;
    this.at = 0;
  }

  /**
   * Go to where the sound at a position begins: a landing, or the length of the reverb before it.
   *
   * origin and the position are whole ticks from the start, so that the samples are those of
   * playing there. Afterwards, at is the position in samples from origin.
   */
  _begin(from) {
    const { recording, speed } = this;
    const second = (this.tick * speed) / this.rate; // seconds of the recording in a tick
    const held = recording.strokesAt(from, SOUND.decay * speed);
    const landing = held.length ? recording.t[recording.first[held[0]]] : from;
    const origin = Math.floor(Math.max(0, from - MAX_BEFORE * speed, landing - second) / second);
    this.origin = origin * second;
    this.at = (Math.round(from / second) - origin) * this.tick;
    this.next = countUpTo(recording.times, this.origin - 1e-9);
    for (let n = 0; n < this.next; n++) {
      const event = recording.events[n];
      if (event % 2 === 0) this.last.set(recording.player[recording.strokeOf[event / 2]], event / 2);
    }
    this.nextChange = 1;
    while (this.nextChange < recording.changes.length && recording.changes[this.nextChange][0] < this.origin) {
      this._set(recording.changes[this.nextChange++][1]);
    }
  }

  /** The sample at which something is due. */
  _sample(t) {
    return roundEven(((t - this.origin) * this.rate) / this.speed);
  }

  /** Return the next tick, left and right, as arrays that the next call overwrites. */
  render(sounds = true) {
    const { recording, tick, dry, wet } = this;
    const end = this.at + tick;
    for (;;) {
      const touch = this.next < recording.times.length ? this._sample(recording.times[this.next]) : Infinity;
      const change = recording.changes[this.nextChange];
      if (change && this._sample(change[0]) <= touch && this._sample(change[0]) < end) {
        this._change(change[1]);
        this.nextChange++;
      } else if (touch < end) {
        this._play(recording.events[this.next++], Math.max(touch - this.at, 0));
      } else break;
    }
    this.at = end;
    for (const channel of [...dry, ...wet]) channel.fill(0);
    if (!this.voices.voices.length && this.reverb.empty) {
      this.gain = this.settings.volume;
      return wet;
    }
    this.voices.render(dry[0], dry[1], sounds);
    if (!sounds) return wet;
    this.reverb.render(dry[0], dry[1], wet[0], wet[1]);
    const gain = this.gain + (this.settings.volume - this.gain) * this.fader;
    for (let n = 0; n < tick; n++) {
      const line = this.gain + ((gain - this.gain) * (n + 1)) / tick;
      wet[0][n] = (wet[0][n] + dry[0][n]) * line * line * 2;
      wet[1][n] = (wet[1][n] + dry[1][n]) * line * line * 2;
    }
    this.gain = gain;
    this.limiter.render(wet[0], wet[1]);
    return wet;
  }

  /** Set controls; of instruments and ranges, those of the players that are named. */
  _set(values) {
    for (const [name, value] of Object.entries(values)) {
      const before = this.settings[name];
      this.settings[name] = typeof value === "object" ? { ...before, ...value } : value;
    }
  }

  _change(values) {
    this._set(values);
    if (values.panic) {
      this.voices.fadeOut();
      this.reverb.fadeOut();
      this.held.clear();
    }
  }

  _play(event, offset) {
    const { recording } = this;
    const i = (event - (event % 2)) / 2;
    const stroke = recording.strokeOf[i];
    const landing = i === recording.first[stroke];
    let voice = this.held.get(stroke);
    if (event % 2) {
      if (voice) voice.held = false;
      this.held.delete(stroke);
      return;
    }
    const { who, machine } = recording.players[recording.player[stroke]];
    const speed = this._speed(i, recording.player[stroke]);
    const pressure = recording.pressure[i];
    const note = this._note(who, machine, recording.x[i]);
    // A stolen voice that has faded is gone; the finger lands again.
    if (voice && voice.stolen && !this.voices.voices.includes(voice)) voice = undefined;
    if (voice && !landing) {
      const energy = Math.max(1 - Math.exp(-speed / SOUND.fast), pressure, 0);
      voice.slide(note, this._brightness(recording.y[i], energy), energy);
      return;
    }
    const force = pressure < 0 ? 1 - Math.exp(-speed / SOUND.fastLanding) : pressure;
    voice = this.voices.land({
      instrument: this._instrument(who, machine),
      machine,
      note,
      brightness: this._brightness(recording.y[i], 0.3 * force),
      velocity: 0.55 + 0.45 * force,
      level: pressure < 0 ? 1 : SOUND.softest + (1 - SOUND.softest) * force,
      pan: (machine ? SOUND.pan : -SOUND.pan) + SOUND.width * (recording.x[i] - 0.5),
      offset,
    });
    if (voice) this.held.set(stroke, voice);
    else this.held.delete(stroke);
  }

  _instrument(who, machine) {
    const assigned = this.settings.instrument;
    return assigned[who === "human" ? TABLES.music.first : who] || assigned[machine ? "ai" : "human"];
  }

  _brightness(y, energy) {
    return Math.min(1, 0.08 + 0.72 * (1 - y) + 0.25 * energy);
  }

  _speed(i, player) {
    const { x, y, dt } = this.recording;
    const last = this.last.get(player);
    this.last.set(player, i);
    if (last === undefined || dt[i] <= 0) return 0;
    return Math.hypot(x[i] - x[last], y[i] - y[last]) / Math.max(dt[i] / this.speed, 0.004);
  }

  /** The note at x: in the player's range, on the scale. */
  _note(who, machine, x) {
    const ranges = this.settings.range;
    const [low, high] = ranges[who] || (machine && ranges.ai) || ranges[""];
    const pitch = low + (high - low) * x;
    const { scale } = this.settings;
    if (!TABLES.music.scales[scale].length) return pitch;
    const key = `${scale} ${low} ${high}`;
    if (!this.notes.has(key)) this.notes.set(key, scaleNotes(low, high, scale));
    return this.notes.get(key).reduce((a, b) => (Math.abs(b - pitch) < Math.abs(a - pitch) ? b : a));
  }
}

/** The notes of a scale in a range; at least one. */
function scaleNotes(low, high, scale) {
  const steps = TABLES.music.scales[scale];
  const notes = [];
  for (let note = Math.ceil(low); note <= Math.floor(high); note++) {
    if (steps.includes((((note - TABLES.music.key) % 12) + 12) % 12)) notes.push(note);
  }
  return notes.length ? notes : [roundEven(low)];
}
