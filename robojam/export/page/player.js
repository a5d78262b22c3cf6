// Playback: the clock, the sound ahead of it, and what a person controls.

/** Seconds of sound that are scheduled ahead, also of a page that is hidden, whose timers are slow. */
const AHEAD = 0.5;
const AHEAD_HIDDEN = 3;
/** Ticks of the synthesiser in a buffer; seconds until the first is heard. */
const TICKS = 25;
const LEAD = 0.06;

/** Sound of a recording on the audio clock of a context. */
class Sound {
  constructor(recording, context) {
    this.recording = recording;
    this.context = context;
    this.volume = context.createGain();
    this.volume.connect(context.destination);
    this.synth = null;
  }

  start(position, speed) {
    const { context } = this;
    this.stop();
    this.synth = new Synth(this.recording, context.sampleRate, { from: position, speed });
    this.bus = context.createGain();
    this.bus.connect(this.volume);
    this.sources = new Set();
    this.from = this.synth.origin;
    this.speed = speed;
    // On a whole sample, so that the buffers join without a seam.
    this.frame = Math.ceil((context.currentTime + LEAD) * context.sampleRate);
    this.begin = this.frame / context.sampleRate;
    this.end = this.begin + (this.recording.seconds - position) / speed;
    this.schedule(AHEAD);
  }

  stop() {
    if (!this.synth) return;
    const now = this.context.currentTime;
    this.synth = null;
    this.bus.gain.setTargetAtTime(0, now, 0.01);
    for (const source of this.sources) source.stop(now + 0.08);
  }

  /** Schedule the sound that is due within some seconds. */
  schedule(ahead) {
    const { context } = this;
    const rate = context.sampleRate;
    while (this.synth && this.frame < (context.currentTime + ahead) * rate) {
      const { tick } = this.synth;
      if (this.frame < context.currentTime * rate) {
        this.synth.render(false); // late: what is past is not heard
        this.frame += tick;
        continue;
      }
      const buffer = context.createBuffer(2, TICKS * tick, rate);
      const [left, right] = [buffer.getChannelData(0), buffer.getChannelData(1)];
      let loudest = 0;
      for (let n = 0; n < TICKS; n++) {
        const [l, r] = this.synth.render();
        left.set(l, n * tick);
        right.set(r, n * tick);
        for (let i = 0; i < tick; i++) loudest = Math.max(loudest, Math.abs(l[i]), Math.abs(r[i]));
      }
      const source = context.createBufferSource();
      source.buffer = buffer;
      source.connect(this.bus);
      source.start(this.frame / rate);
      this.sources.add(source);
      source.onended = () => this.sources.delete(source);
      this.frame += TICKS * tick;
      const past = this.frame / rate - this.end;
      if (past > SOUND.tail || (past > 0 && loudest < SOUND.silence)) this.synth = null;
    }
  }

  /** The position that is heard now. */
  get position() {
    const { context } = this;
    const heard = context.currentTime - (context.outputLatency || context.baseLatency || 0);
    return this.from + Math.max(0, heard - this.begin) * this.speed;
  }
}

/** Playback of a recording, with its position in seconds. */
class Player {
  constructor(recording) {
    this.recording = recording;
    this.held = 0;
    this.playing = false;
    this.speed = 1;
    this.loop = false;
    this.sound = undefined; // null where there is none
    this.level = 1;
  }

  get position() {
    if (!this.playing) return this.held;
    const elapsed = (performance.now() - this.startedAt) / 1000;
    const position = this.sound ? this.sound.position : this.held + elapsed * this.speed;
    return Math.min(this.recording.seconds, position);
  }

  play() {
    if (this.held >= this.recording.seconds) this.held = 0;
    if (this.sound === undefined) {
      try {
        this.sound = new Sound(this.recording, new (window.AudioContext || window.webkitAudioContext)());
      } catch {
        this.sound = null;
      }
      this.setLevel(this.level);
    }
    this.playing = true;
    this._start();
  }

  _start() {
    this.startedAt = performance.now();
    if (!this.sound) return;
    const { context } = this.sound;
    if (context.state !== "running") context.resume().catch(() => {});
    this.startedTime = context.currentTime;
    this.sound.start(this.held, this.speed);
  }

  pause() {
    this.held = this.position;
    this.playing = false;
    if (this.sound) this.sound.stop();
  }

  seek(position) {
    this.held = clip(position, 0, this.recording.seconds);
    if (this.playing) this._start();
    else if (this.sound) this.sound.stop();
  }

  setSpeed(speed) {
    this.held = this.position;
    this.speed = speed;
    if (this.playing) this._start();
  }

  setLevel(level) {
    this.level = level;
    if (!this.sound) return;
    const { volume, context } = this.sound;
    volume.gain.setTargetAtTime(level * level, context.currentTime, 0.02);
  }

  /** Go on: schedule sound, and stop or begin again at the end. */
  update() {
    if (this.sound) this.sound.schedule(document.hidden ? AHEAD_HIDDEN : AHEAD);
    if (!this.playing) return;
    const stalled = this.sound && this.sound.context.currentTime === this.startedTime;
    if (stalled && performance.now() - this.startedAt > 2000) {
      this.sound.stop();
      this.sound = null; // no audio device: the picture plays alone
    }
    if (this.position < this.recording.seconds) return;
    this.held = 0;
    if (this.loop && this.recording.seconds > 0) this._start();
    else {
      this.held = this.recording.seconds; // the last sound rings on
      this.playing = false;
    }
  }
}

const clockText = (seconds) => {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
};

/** The page: its controls, which show and set the state of a player. */
class Page {
  constructor(recording) {
    const ids = ["surface", "timeline", "slider", "play", "time", "turn", "volume", "mute", "loop", "speed", "players"];
    for (const id of ids) this[id] = document.getElementById(id);
    this.recording = recording;
    this.player = new Player(recording);
    this.picture = new Picture(recording, this.surface);
    this.density = new Timeline(recording, this.timeline);
    this.muted = false;
    this.dragging = false; // playing: goes on when the pointer is lifted
    this.last = {};
    this._listPlayers();
    this._listen();
    this._applyPreferences();
    this.resize();
    setInterval(() => this.player.update(), 50);
    const frame = () => {
      this.draw();
      requestAnimationFrame(frame);
    };
    frame();
  }

  _listPlayers() {
    for (const { name, machine } of this.recording.players.slice(0, 32)) {
      const item = document.createElement("li");
      item.append(Object.assign(document.createElement("span"), { textContent: machine ? "◆" : "●" }), ` ${name}`);
      item.firstChild.setAttribute("aria-hidden", "true");
      this.players.append(item);
    }
  }

  _listen() {
    const { player } = this;
    this.play.onclick = () => this.toggle();
    this.mute.onclick = () => this._setLevel(!this.muted);
    this.volume.oninput = () => this._setLevel(false);
    this.loop.onclick = () => {
      player.loop = !player.loop;
      this.loop.setAttribute("aria-pressed", player.loop);
    };
    this.speed.onchange = () => player.setSpeed(Number(this.speed.value));
    this.slider.onpointerdown = (event) => {
      if (event.button) return;
      this.slider.setPointerCapture(event.pointerId);
      this.dragging = player.playing;
      if (player.playing) player.pause();
      this._seekTo(event);
    };
    this.slider.onpointermove = (event) => {
      if (this.slider.hasPointerCapture(event.pointerId)) this._seekTo(event);
    };
    this.slider.onlostpointercapture = () => {
      if (this.dragging && player.held < this.recording.seconds) player.play();
      this.dragging = false;
    };
    document.onkeydown = (event) => this._key(event);
    window.onresize = () => this.resize();
    new ResizeObserver(() => this.resize()).observe(this.surface);
    document.onvisibilitychange = () => player.update();
    this.preferences = ["(prefers-color-scheme: light)", "(prefers-reduced-motion: reduce)"].map(matchMedia.bind(window));
    for (const query of this.preferences) query.addEventListener("change", () => this._applyPreferences());
  }

  _applyPreferences() {
    const [light, still] = this.preferences.map((query) => query.matches);
    this.picture.setTheme(Number(light));
    this.picture.still = still;
    const { theme } = this.picture;
    const style = document.documentElement.style;
    style.colorScheme = theme.light ? "light" : "dark";
    for (const name of ["frame", "surface", "edge", "panel", "text", "muted", "human", "machine"]) {
      style.setProperty(`--${name}`, css(theme[name]));
    }
    [...this.players.children].forEach((item, i) => {
      item.firstChild.style.color = css(this.picture.styles[i].colour);
    });
    this.last = {};
  }

  _setLevel(muted) {
    this.muted = muted;
    this.mute.setAttribute("aria-pressed", muted);
    this.player.setLevel(muted ? 0 : Number(this.volume.value) / 100);
  }

  _seekTo(event) {
    const box = this.slider.getBoundingClientRect();
    this.player.seek(((event.clientX - box.left) / box.width) * this.recording.seconds);
  }

  toggle() {
    if (this.player.playing) this.player.pause();
    else this.player.play();
  }

  _key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { player } = this;
    const to = (seconds) => () => player.seek(player.position + seconds);
    const keys = {
      ArrowLeft: to(event.shiftKey ? -1 : -5),
      ArrowRight: to(event.shiftKey ? 1 : 5),
      ArrowDown: to(-5),
      ArrowUp: to(5),
      PageDown: to(-30),
      PageUp: to(30),
      Home: () => player.seek(0),
      End: () => player.seek(this.recording.seconds),
      " ": () => this.toggle(),
      m: () => this.mute.click(),
      l: () => this.loop.click(),
    };
    const action = keys[event.key];
    // A focused control has its own keys: a button its space, the volume its arrows.
    const own = event.target.closest("button") ? event.key === " " : event.target.closest("input, select");
    if (!action || own || (event.key === " " && event.repeat)) return;
    event.preventDefault();
    action();
  }

  resize() {
    this.picture.resize();
    this.density.resize();
    this.last = {};
    this.draw(); // a canvas of a new size is blank
  }

  draw() {
    const { player, recording } = this;
    const { position } = player;
    if (position === this.last.position && player.playing === this.last.playing) return;
    this.last = { position, playing: player.playing };
    const down = this.picture.draw(position);
    this.density.draw(position, this.picture.theme);
    [...this.players.children].forEach((item, i) => item.classList.toggle("down", down.has(i)));
    const whose = recording.turnAt(position);
    this.surface.className = whose === "ai" ? "machine" : whose;
    const several = recording.players.filter(({ machine }) => !machine).length > 1;
    const turn = { ai: "The machine’s turn", human: several ? "The humans’ turn" : "The human’s turn" };
    this._write(this.turn, turn[whose] || "");
    this._write(this.time, `${clockText(position)} / ${clockText(recording.seconds)}`);
    this._write(this.play, player.playing ? "Pause" : "Play");
    this.slider.setAttribute("aria-valuenow", Math.floor(position));
    this.slider.setAttribute("aria-valuemax", Math.ceil(recording.seconds));
    this.slider.setAttribute("aria-valuetext", `${clockText(position)} of ${clockText(recording.seconds)}`);
  }

  /** Set a text, only where it changes: a screen reader speaks what is set. */
  _write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }
}

const page = new Page(new Recording(TABLES));
