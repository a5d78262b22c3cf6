// Sound on this device: robojam's instruments by Web Audio, from tables that the server makes
// of its own (/pad/sound.json). Off until it is asked for.

/** Voices at most: a further one ends the oldest. */
const VOICES = 16;
/** Seconds of the reverb, its level, and the time with which a parameter follows. */
const REVERB = 1.6, WET = 0.3, FOLLOW = 0.02;

/** Return where a value is in a rising list: the index before it, and the share to the next. */
function between(list, value) {
  let i = 0;
  while (i < list.length - 2 && value > list[i + 1]) i += 1;
  return [i, Math.min(1, Math.max(0, (value - list[i]) / (list[i + 1] - list[i])))];
}

/** Return a table's value (numbers, or lists of them) between two of its rows. */
function blend(table, [i, share]) {
  const mix = (a, b) => (Array.isArray(a) ? a.map((v, k) => mix(v, b[k])) : a + (b - a) * share);
  return mix(table[i], table[i + 1]);
}

const isMachine = (who) => who.startsWith("ai");

/** Return the value of the first of some names in assignments such as human=strings,ai=keys. */
function assigned(text, ...names) {
  const values = new Map();
  for (const part of text.split(",")) {
    const [value, name = ""] = part.split("=").reverse();
    values.set(name, value);
  }
  return values.get(names.find((name) => values.has(name)));
}

/** Return the instrument of a player, by the engine's names: human, human2, …, ai, ai2, … */
export const instrumentOf = (who, text) =>
  assigned(text, who === "human" ? "human1" : who, isMachine(who) ? "ai" : "human");

/** Return the MIDI note of a place from 0 to 1, in the player's range of pitch and in a scale. */
export function noteOf(who, x, { range, scale }, { scales, key }) {
  const [low, high] = assigned(range, who, isMachine(who) ? "ai" : "", "").split("-").map(Number);
  const pitch = low + (high - low) * x, steps = scales[scale];
  if (!steps.length) return pitch;
  let best = NaN;
  for (let note = Math.ceil(low); note <= Math.floor(high); note += 1) {
    const isNearer = !(Math.abs(note - pitch) >= Math.abs(best - pitch));
    if (steps.includes((note - key + 120) % 12) && isNearer) best = note;
  }
  return Number.isNaN(best) ? Math.round(low) : best;
}

export class Sound {
  constructor() {
    this.who = "off"; // whose touches sound: off, own, all
    this.volume = 0.7;
    this.settings = {}; // instrument, range and scale, as the engine writes them
    this.voices = new Map();
    this._last = new Map();
    this._waves = new Map();
  }

  /** Choose whose touches sound. Call it in the handler of a tap: browsers ask for one. */
  async choose(who) {
    this.who = who;
    if (who === "off") {
      this.silence();
      await this.context?.suspend();
      return;
    }
    if (!this.context) this.open(new AudioContext({ latencyHint: "interactive" }));
    const resumed = this.context.resume();
    this.tables ??= await (await fetch("/pad/sound.json")).json();
    await resumed;
  }

  setVolume(volume) {
    this.volume = volume;
    this.out?.gain.setTargetAtTime(loudness(volume), this.context.currentTime, 0.03);
  }

  /** Play into a context: limiter and reverb are made. */
  open(context) {
    this.context = context;
    const limiter = new DynamicsCompressorNode(context, { threshold: -6, knee: 6, ratio: 12, attack: 0.002, release: 0.15 });
    this.out = new GainNode(context, { gain: loudness(this.volume) });
    const impulse = new AudioBuffer({ length: REVERB * context.sampleRate, numberOfChannels: 2, sampleRate: context.sampleRate });
    for (const channel of [0, 1]) {
      const data = impulse.getChannelData(channel);
      for (let i = 0; i < data.length; i += 1) data[i] = (2 * Math.random() - 1) * Math.exp((-6.9 * i) / data.length);
    }
    const reverb = new ConvolverNode(context, { buffer: impulse }), wet = new GainNode(context, { gain: WET });
    this.out.connect(limiter).connect(context.destination);
    this.out.connect(reverb).connect(wet).connect(limiter);
    this._air = new AudioBuffer({ length: context.sampleRate, sampleRate: context.sampleRate });
    const noise = this._air.getChannelData(0);
    for (let i = 0; i < noise.length; i += 1) noise[i] = (2 * Math.random() - 1) * 1.7; // RMS 1
  }

  /** Sound a touch: kind d, m or u; player is who's name in the engine. t is in ms. */
  touch(who, kind, finger, x, y, t, { pressure, player, own = false }) {
    const { tables } = this, key = `${who} ${finger}`, voice = this.voices.get(key);
    if (kind === "u" || this.who === "off" || !tables || (this.who === "own" && !own)) {
      if (voice) this._lift(key);
      return;
    }
    const last = this._last.get(who), feel = tables.touch;
    if (this._last.size > 200) this._last.clear();
    this._last.set(who, { x, y, t });
    const speed = last && t > last.t ? Math.hypot(x - last.x, y - last.y) / Math.max(0.004, (t - last.t) / 1000) : 0;
    const { scale, range, instrument: assignments } = this.settings;
    if (!range || !assignments || !Object.hasOwn(tables.scales, scale)) return; // not yet known
    const note = noteOf(player, x, this.settings, tables), instrument = tables.instruments[instrumentOf(player, assignments)];
    if (!instrument || !Number.isFinite(note)) return;
    const bright = (energy) => Math.min(1, feel.base + feel.height * (1 - y) + feel.energy * energy);
    if (kind === "m" && voice) {
      const energy = Math.max(1 - Math.exp(-speed / feel.fast), pressure ?? 0);
      voice.slide(note, bright(energy), energy);
      return;
    }
    if (voice) this._lift(key);
    const force = pressure ?? 1 - Math.exp(-speed / feel.fastLanding);
    const level = pressure === undefined ? 1 : feel.softest + (1 - feel.softest) * force;
    const machine = isMachine(player), pan = (machine ? feel.pan : -feel.pan) + feel.width * (x - 0.5);
    while (this.voices.size >= VOICES) this._lift(this.voices.keys().next().value);
    this.voices.set(key, new Voice(this, instrument, {
      note, bright: bright(0.3 * force), level: level * ((0.55 + 0.45 * force) / feel.velocity), pan, machine,
    }));
  }

  _lift(key) {
    this.voices.get(key)?.lift();
    this.voices.delete(key);
  }

  /** End all voices, or those of a player. */
  silence(who) {
    for (const key of [...this.voices.keys()]) if (!who || key.startsWith(`${who} `)) this._lift(key);
  }

  /** Return the wave of a group of partials; the machine's is hollow, as its even ones are faint. */
  wave(group, machine) {
    const key = machine ? "machine" : "human", cached = this._waves.get(group) ?? {};
    this._waves.set(group, cached);
    if (!cached[key]) {
      const sines = new Float32Array(group.partials.at(-1)[0] + 1);
      for (const [k, amplitude] of group.partials) {
        sines[k] = amplitude * (machine && Math.round(k * group.ratio) % 2 === 0 ? 0.35 : 1);
      }
      cached[key] = this.context.createPeriodicWave(new Float32Array(sines.length), sines, { disableNormalization: true });
    }
    return cached[key];
  }
}

/** One finger's sound: an oscillator for each group of partials, and a band of noise. */
class Voice {
  constructor(sound, instrument, { note, bright, level, pan, machine }) {
    const { context, tables } = sound, now = context.currentTime;
    Object.assign(this, { context, tables, instrument });
    this.end = new GainNode(context, { gain: 0 });
    this.end.gain.setTargetAtTime(level, now, instrument.attack / 2);
    this.end.connect(new StereoPannerNode(context, { pan })).connect(sound.out);
    const pitch = note + instrument.transpose, atNote = between(tables.notes, pitch), atBright = between(tables.brightness, bright);
    this.begun = bright;
    this.layers = instrument.groups.map((group) => {
      const source = new OscillatorNode(context, { periodicWave: sound.wave(group, machine), frequency: hz(pitch) * group.ratio });
      if (instrument.bend) source.detune.setValueCurveAtTime(Float32Array.from(instrument.bend), now, tables.bendSeconds);
      return this._layer(source, blend(blend(group.struck, atNote), atBright), { group, source }, now);
    });
    const air = new AudioBufferSourceNode(context, { buffer: sound._air, loop: true });
    this.layers.push(this._layer(air, blend(instrument.noise.struck, atBright), { source: air }, now));
  }

  /** Connect a source with its envelope from the landing on, and with what a slide adds. */
  _layer(source, envelope, layer, now) {
    const { context, tables } = this;
    const struck = new GainNode(context, { gain: envelope[0] }), slid = new GainNode(context, { gain: 0 });
    struck.gain.setValueAtTime(envelope[0], now);
    tables.ages.forEach((age, i) => i && struck.gain.linearRampToValueAtTime(envelope[i], now + age));
    const colour = new GainNode(context);
    for (const gain of [struck, slid]) source.connect(gain).connect(colour);
    if (layer.group) colour.connect(this.end);
    else colour.connect(new BiquadFilterNode(context, { type: "bandpass", ...tables.air[this.instrument.air] })).connect(this.end);
    source.start(now, ...(layer.group ? [] : [Math.random()]));
    return { ...layer, slid: slid.gain, colour: colour.gain };
  }

  slide(note, bright, energy) {
    const { context, tables, instrument } = this, now = context.currentTime;
    const pitch = note + instrument.transpose, atNote = between(tables.notes, pitch);
    const rows = between(tables.brightness, bright), begun = between(tables.brightness, this.begun);
    for (const { group, source, slid, colour } of this.layers) {
      const added = group ? blend(blend(group.slid, atNote), rows) : blend(instrument.noise.slid, rows);
      slid.cancelScheduledValues(now);
      slid.setTargetAtTime(added * energy, now, FOLLOW);
      slid.setTargetAtTime(0, now + 0.1, 0.13); // a finger that has stopped
      if (!group) continue;
      source.frequency.setTargetAtTime(hz(pitch) * group.ratio, now, 0.01);
      const [then, soon] = [begun, rows].map((at) => blend(blend(group.struck, atNote), at)[1]);
      colour.setTargetAtTime(then > 0 ? Math.min(8, soon / then) : 1, now, FOLLOW);
    }
  }

  lift() {
    const { context, instrument } = this, now = context.currentTime;
    this.end.gain.cancelScheduledValues(now);
    this.end.gain.setTargetAtTime(0, now, instrument.release);
    for (const { source } of this.layers) source.stop(now + 10 * instrument.release);
    this.layers[0].source.onended = () => this.end.disconnect();
  }
}

/** Return the gain of a volume of 0..1: its square is nearer to how loudness is heard. */
const loudness = (volume) => 2 * volume * volume;

const hz = (note) => 440 * 2 ** ((note - 69) / 12);
