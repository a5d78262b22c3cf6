// The picture at a time: strokes as robojam's window draws them. It depends on nothing else.

const LOOK = TABLES.look;

/** Steps of brightness; strokes and their points that are drawn at most, the latest. */
const LEVELS = 24;
const MAX_STROKES = 1000;
const MAX_POINTS = 6000;
/** A diamond reaches this much further than the disc of the same radius. */
const DIAMOND = 1.3;
/** Steps of a line's width, of a finger's mark. */
const WIDTHS = 12;
/** Speed, in screens a second, at which a line has half of its greatest additional width. */
const HALF_SPEED = 1.2;

const smoothstep = (value) => {
  const v = clip(value, 0, 1);
  return v * v * (3 - 2 * v);
};

const mix = (from, to, share) => from.map((value, i) => Math.round(value + (to[i] - value) * share));
const css = (colour) => `rgb(${colour.join(",")})`;

class Picture {
  constructor(recording, canvas) {
    this.recording = recording;
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.still = false; // no rings, no glow and no fading, where a person wants little motion
    this.setTheme(0);
  }

  setTheme(index) {
    this.theme = LOOK.themes[index];
    const blank = this.theme.light ? [255, 255, 255] : [0, 0, 0];
    const made = new Map(); // by colour, which many players may share
    this.styles = this.recording.players.map(({ machine, colours }) => {
      const colour = colours[index];
      if (!made.has(css(colour))) {
        const levels = Array.from({ length: LEVELS + 1 }, (_, n) => css(mix(blank, colour, n / LEVELS)));
        const middle = css(mix(colour, [255, 255, 255], 0.75));
        made.set(css(colour), { machine, colour, levels, middle, glow: this._glow(colour) });
      }
      return made.get(css(colour));
    });
  }

  _glow(colour) {
    const size = 96;
    const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
    const context = canvas.getContext("2d");
    const light = context.createRadialGradient(size / 2, size / 2, 0, size / 2, size / 2, size / 2);
    for (let n = 0; n <= 12; n++) {
      const alpha = Math.max(0, (Math.exp(-4.5 * (n / 12) ** 2) - 0.0111) / 0.9889);
      light.addColorStop(n / 12, `rgba(${colour.join(",")},${alpha.toFixed(3)})`);
    }
    context.fillStyle = light;
    context.fillRect(0, 0, size, size);
    return canvas;
  }

  /** Fit the canvas to its place on the page, at the display's resolution. */
  resize() {
    const { recording, canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * scale));
    const height = Math.max(1, Math.round(canvas.clientHeight * scale));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    this.radius = Math.max(3 * scale, Math.min(width, height) / 64);
    const inset = this.radius * 1.4;
    const touches = recording.t.length;
    this.px = new Float32Array(touches);
    this.py = new Float32Array(touches);
    this.along = new Float64Array(touches); // pixels from the stroke's landing
    for (let i = 0; i < touches; i++) {
      this.px[i] = inset + recording.x[i] * (width - 1 - 2 * inset);
      this.py[i] = inset + recording.y[i] * (height - 1 - 2 * inset);
      if (i && recording.strokeOf[i] === recording.strokeOf[i - 1]) {
        const way = Math.hypot(this.px[i] - this.px[i - 1], this.py[i] - this.py[i - 1]);
        this.along[i] = this.along[i - 1] + way;
      }
    }
  }

  /** Brightness of a point, by its age in seconds, in steps. */
  _level(age) {
    if (this.still) return age < LOOK.fade ? Math.round(LOOK.afterglow * LEVELS) : 0;
    const glare = smoothstep(1 - age / LOOK.glare);
    const afterglow = smoothstep(1 - age / LOOK.fade);
    return Math.round(((1 - LOOK.afterglow) * glare + LOOK.afterglow * afterglow) * LEVELS);
  }

  /** Draw the picture at t seconds; return the players whose fingers are down. */
  draw(t) {
    const { recording, context, canvas, theme } = this;
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 1;
    context.fillStyle = css(theme.surface);
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.lineCap = context.lineJoin = "round";
    const strokes = recording.strokesAt(t, LOOK.fade + LOOK.head).slice(-MAX_STROKES);
    context.globalCompositeOperation = theme.light ? "darken" : "lighten";
    let points = 0;
    for (let n = strokes.length - 1; n >= 0 && points < MAX_POINTS; n--) points += this._line(strokes[n], t);
    if (!this.still) for (const stroke of strokes) this._ring(stroke, t);
    const down = new Set();
    const heads = strokes.filter((stroke) => t < recording.lifted[stroke] + LOOK.head);
    if (!this.still) this._glows(heads, t);
    context.globalCompositeOperation = "source-over";
    context.globalAlpha = 1;
    for (const stroke of heads) {
      if (t >= recording.lifted[stroke]) continue;
      const style = this.styles[recording.player[stroke]];
      const i = this._lastTouch(stroke, t);
      down.add(recording.player[stroke]);
      this._shape(this.px[i], this.py[i], this.radius, style.machine, style.levels[LEVELS]);
      this._shape(this.px[i], this.py[i], this.radius * 0.5, style.machine, style.middle);
    }
    return down;
  }

  /** The last touch of a stroke at or before t. */
  _lastTouch(stroke, t) {
    const { first } = this.recording;
    return first[stroke] + Math.max(0, this._touchesUpTo(stroke, t) - 1);
  }

  _touchesUpTo(stroke, t) {
    const { recording } = this;
    const times = recording.t.subarray(recording.first[stroke], recording.first[stroke + 1]);
    return countUpTo(times, t);
  }

  /** Draw the line that a stroke has left, and the mark of its landing; return its points. */
  _line(stroke, t) {
    const { recording, context, px, py, along, radius } = this;
    const { machine, levels } = this.styles[recording.player[stroke]];
    const begin = recording.first[stroke];
    const end = begin + this._touchesUpTo(stroke, t);
    const from = begin + this._touchesUpTo(stroke, t - LOOK.fade);
    const mark = from === begin && this._level(t - recording.t[begin]);
    if (mark) this._shape(px[begin], py[begin], radius * 0.8, machine, levels[mark]);
    let pen = ""; // stretches of one brightness and width are one path: drawing is quicker
    for (let i = Math.max(from, begin + 1); i < end; i++) {
      const level = this._level(t - recording.t[i]);
      const length = along[i] - along[i - 1];
      if (!level || length === 0) continue;
      const speed = recording.speed[i];
      const wide = Math.round(WIDTHS * (0.16 + (0.6 * speed) / (speed + HALF_SPEED)));
      if (pen !== `${level} ${wide}`) {
        if (pen) context.stroke();
        pen = `${level} ${wide}`;
        context.strokeStyle = levels[level];
        context.lineWidth = ((2 * radius * wide) / WIDTHS) * (machine ? 0.5 : 1);
        context.beginPath();
        context.moveTo(px[i - 1], py[i - 1]);
      }
      const [ax, ay] = this._tangent(Math.max(begin, i - 2), i, length);
      const [bx, by] = this._tangent(i - 1, Math.min(end - 1, i + 1), length);
      context.bezierCurveTo(px[i - 1] + ax, py[i - 1] + ay, px[i] - bx, py[i] - by, px[i], py[i]);
    }
    if (pen) context.stroke();
    if (machine) this._beads(stroke, t, Math.max(from, begin + 1), end);
    return end - from;
  }

  /** Draw a diamond at even distances along the line between touches. */
  _beads(stroke, t, from, end) {
    const { recording, px, py, along } = this;
    const every = this.radius * 2.4;
    const { levels } = this.styles[recording.player[stroke]];
    for (let i = from; i < end; i++) {
      const level = this._level(t - recording.t[i]);
      for (let n = Math.floor(along[i - 1] / every) + 1; level && n * every <= along[i]; n++) {
        const share = (n * every - along[i - 1]) / (along[i] - along[i - 1]);
        const x = px[i - 1] + (px[i] - px[i - 1]) * share;
        const y = py[i - 1] + (py[i] - py[i - 1]) * share;
        this._shape(x, y, this.radius * 0.6, true, levels[level]);
      }
    }
  }

  /** A third of the tangent (Catmull & Rom 1974) between two touches, of at most a length. */
  _tangent(i, j, length) {
    const x = (this.px[j] - this.px[i]) / 2;
    const y = (this.py[j] - this.py[i]) / 2;
    const reach = Math.hypot(x, y);
    const factor = reach ? Math.min(1, length / reach) / 3 : 0;
    return [x * factor, y * factor];
  }

  /** Draw the ring that opens where a finger lands. */
  _ring(stroke, t) {
    const { recording, context, radius, theme } = this;
    const i = recording.first[stroke];
    const share = (t - recording.t[i]) / LOOK.ring;
    if (share >= 1) return;
    const { machine, colour } = this.styles[recording.player[stroke]];
    context.strokeStyle = css(mix(theme.surface, colour, (1 - share) ** 1.5));
    context.lineWidth = Math.max(1.5, radius / 6);
    this._path(this.px[i], this.py[i], radius * (1 + 3.2 * (1 - (1 - share) ** 3)), machine);
    context.stroke();
  }

  /** Draw the glow of fingers, which outlasts their lift. */
  _glows(strokes, t) {
    const { recording, context, theme } = this;
    context.globalCompositeOperation = theme.light ? "source-over" : "lighter";
    for (const stroke of strokes) {
      const i = this._lastTouch(stroke, t);
      const size = this.radius * 9;
      const share = clip(1 - (t - recording.lifted[stroke]) / LOOK.head, 0, 1);
      context.globalAlpha = share * (theme.light ? 0.25 : 0.4);
      const { glow } = this.styles[recording.player[stroke]];
      context.drawImage(glow, this.px[i] - size / 2, this.py[i] - size / 2, size, size);
    }
  }

  /** Draw a player's shape: a disc, or a diamond for the machine. */
  _shape(x, y, radius, machine, style) {
    this._path(x, y, radius, machine);
    this.context.fillStyle = style;
    this.context.fill();
  }

  _path(x, y, radius, machine) {
    const { context } = this;
    context.beginPath();
    if (!machine) {
      context.arc(x, y, radius, 0, 2 * Math.PI);
      return;
    }
    const reach = radius * DIAMOND;
    context.moveTo(x, y - reach);
    context.lineTo(x + reach, y);
    context.lineTo(x, y + reach);
    context.lineTo(x - reach, y);
    context.closePath();
  }
}

/** The timeline: how many touches humans (above) and the machine (below) play, along time. */
class Timeline {
  constructor(recording, canvas) {
    this.recording = recording;
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  resize() {
    const { recording, canvas } = this;
    this.scale = window.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * this.scale));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * this.scale));
    this.bins = Math.max(1, Math.floor(canvas.clientWidth / 3));
    this.counts = [new Float64Array(this.bins), new Float64Array(this.bins)];
    for (let i = 0; i < recording.t.length; i++) {
      const { machine } = recording.players[recording.player[recording.strokeOf[i]]];
      const bin = Math.floor((recording.t[i] / (recording.seconds || 1)) * this.bins);
      this.counts[Number(machine)][Math.min(this.bins - 1, bin)]++;
    }
    this.most = Math.max(1, ...this.counts.map((counts) => counts.reduce((a, b) => Math.max(a, b), 0)));
  }

  draw(t, theme) {
    const { canvas, context, counts, bins, scale, recording } = this;
    const { width, height } = canvas;
    context.fillStyle = css(theme.surface);
    context.fillRect(0, 0, width, height);
    const step = width / bins;
    const middle = height / 2;
    for (const [machine, colour] of [[0, theme.human], [1, theme.machine]]) {
      context.fillStyle = css(colour);
      for (let bin = 0; bin < bins; bin++) {
        if (!counts[machine][bin]) continue;
        const high = Math.max(scale, Math.sqrt(counts[machine][bin] / this.most) * (middle - 3 * scale));
        context.fillRect(bin * step, machine ? middle + scale / 2 : middle - scale / 2 - high, step - scale, high);
      }
    }
    const x = (t / (recording.seconds || 1)) * (width - 2 * scale);
    context.fillStyle = css(theme.text);
    context.fillRect(x, 0, 2 * scale, height);
  }
}
