// Picture of the surface on a canvas, at the display's rate and resolution. Humans are round,
// the machine is angular, as in the window.

import { HEAD, RING, brightness } from "./strokes.js";

/** Colours of the machine's voices in the window's dark theme; a test compares them. */
export const MACHINES = ["#4abaff", "#6884ff", "#78deff", "#96a8ff"];
const DIAMOND = 1.3;
/** Speed, in screens a second, at which a line has half of its greatest additional width. */
const HALF_SPEED = 1.2;
/** Steps of brightness; the layer of older lines is drawn anew in so many frames. */
const LEVELS = 24, LAYER_FRAMES = 6;
/** Seconds after its time within which a touch reaches the page: the layer has only older ones. */
const LATE = 0.1;

/** Return whether a player is a voice of the machine: ai, ai2, … */
export const isMachine = (who) => /^ai\d*$/.test(who);

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const css = (colour, share = 1) => `rgb(${colour.map((c) => Math.round(c * share)).join()})`;

/** Draws strokes on a canvas. place() and pixels() turn positions in CSS pixels of the page
 * into screen units (0..1) and back. */
export class Surface {
  constructor(canvas, strokes) {
    this.canvas = canvas;
    this.strokes = strokes;
    this.colours = new Map();
    this.context = canvas.getContext("2d", { alpha: false });
    /** What is drawn on top: functions of (context, surface, now). */
    this.overlays = [];
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this._layers = [0, 1].map(() => document.createElement("canvas").getContext("2d"));
    this._queue = [];
    this._front = this._back = -Infinity; // when each layer was begun
    this._glows = new Map();
    this._frame = 0;
    this.frames = 0;
    new ResizeObserver((entries) => this._resize(entries[0])).observe(canvas);
    // The size in pixels of the display changes without that in CSS pixels, when zoomed.
    addEventListener("resize", () => this._resize());
  }

  _resize(entry) {
    const box = this.canvas.getBoundingClientRect();
    const exact = entry?.devicePixelContentBoxSize?.[0];
    const ratio = devicePixelRatio || 1;
    // The browser knows whole pixels better, where it reckons with the same ratio.
    const whole = (size, known) => Math.max(1, Math.abs(known - size * ratio) < 2 ? known : Math.round(size * ratio));
    const width = whole(box.width, exact?.inlineSize), height = whole(box.height, exact?.blockSize);
    Object.assign(this, { box, ratio, width, height });
    this.background = getComputedStyle(this.canvas).backgroundColor;
    this.radius = Math.max(9, Math.min(box.width, box.height) / 50) * ratio;
    this.inset = this.radius * 1.4;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      for (const { canvas } of [this.context, ...this._layers]) Object.assign(canvas, { width, height });
      this._queue = [];
      this._front = -Infinity;
    }
    this.draw();
  }

  /** Return screen units (0..1) for a place in the page, in CSS pixels. */
  place(clientX, clientY) {
    const part = (at, start, size) => {
      const inset = this.inset / this.ratio;
      return Math.min(1, Math.max(0, (at - start - inset) / Math.max(1, size - 2 * inset)));
    };
    return [part(clientX, this.box.left, this.box.width), part(clientY, this.box.top, this.box.height)];
  }

  /** Return pixels of the canvas for screen units. */
  pixels(x, y) {
    return [this.inset + x * (this.width - 2 * this.inset), this.inset + y * (this.height - 2 * this.inset)];
  }

  /** Return a player's colour; colours has those of the humans, by id. */
  colour(who) {
    const hex = this.colours.get(who) ?? (isMachine(who) ? MACHINES[((who.slice(2) || 1) - 1) % MACHINES.length] : "#fade60");
    return rgb(hex);
  }

  /** Draw in the next frame, and go on for as long as something moves. */
  draw() {
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._draw(performance.now() / 1000);
    });
  }

  _draw(now) {
    const { context, strokes } = this;
    if (!this.box) return;
    this.frames += 1;
    strokes.fade(now);
    context.globalCompositeOperation = "source-over";
    context.fillStyle = this.background;
    context.fillRect(0, 0, this.width, this.height);
    this._drawLayer(now);
    // Lines are light: they show where they are brighter than what is below.
    context.globalCompositeOperation = "lighten";
    context.drawImage(this._layers[0].canvas, 0, 0);
    for (const stroke of strokes.visible) this._line(context, stroke, now, this._front);
    if (!this.calm.matches) for (const stroke of strokes.visible) this._ring(stroke, now);
    context.globalCompositeOperation = "lighter";
    for (const stroke of strokes.visible) this._glow(stroke, now);
    context.globalCompositeOperation = "source-over";
    for (const stroke of strokes.visible) if (stroke.lifted === null) this._head(stroke);
    let animating = strokes.isAnimating(now);
    for (const overlay of this.overlays) animating = overlay(context, this, now) || animating;
    if (animating) this.draw();
  }

  /** Draw a part of the back layer, which holds the lines so far; show it when it is complete.
   * So no frame draws all lines, and each fades in steps too small to notice. */
  _drawLayer(now) {
    const [front, back] = this._layers;
    if (!this._queue.length) {
      this._back = now - LATE;
      back.globalCompositeOperation = "source-over";
      back.clearRect(0, 0, this.width, this.height);
      back.globalCompositeOperation = "lighten";
      this._queue = [...this.strokes.visible];
      this._share = Math.max(1, Math.ceil(this._queue.length / LAYER_FRAMES));
    }
    for (const stroke of this._queue.splice(0, this._share)) this._line(back, stroke, now, -Infinity, this._back);
    if (!this._queue.length) {
      this._layers = [back, front];
      this._front = this._back;
    }
  }

  /** Draw a stroke's line from the first point after a time, to the last until another. */
  _line(context, stroke, now, after, until = Infinity) {
    const { points } = stroke;
    let i = points.length;
    while (i > 0 && points[i - 1].t > after) i -= 1;
    if (i === points.length) return;
    const colour = this.colour(stroke.who), machine = isMachine(stroke.who);
    context.lineCap = context.lineJoin = "round";
    for (; i < points.length && points[i].t <= until; i += 1) {
      const point = points[i], [x, y] = this.pixels(point.x, point.y);
      const level = Math.round(brightness(now - point.t) * LEVELS) / LEVELS;
      if (!level) continue;
      context.strokeStyle = context.fillStyle = css(colour, level);
      if (point.t === stroke.landed.t) this._shape(context, x, y, this.radius * 0.8, machine);
      if (!i) continue;
      // A cubic curve through the touches, with the tangents of Catmull and Rom.
      const [px, py] = this.pixels(points[i - 1].x, points[i - 1].y);
      const [ax, ay] = i > 1 ? this.pixels(points[i - 2].x, points[i - 2].y) : [px, py];
      const [bx, by] = i < points.length - 1 ? this.pixels(points[i + 1].x, points[i + 1].y) : [x, y];
      context.lineWidth = 2 * this.radius * (0.16 + (0.6 * point.speed) / (point.speed + HALF_SPEED));
      context.beginPath();
      context.moveTo(px, py);
      context.bezierCurveTo(px + (x - ax) / 6, py + (y - ay) / 6, x - (bx - px) / 6, y - (by - py) / 6, x, y);
      context.stroke();
      if (machine && Math.hypot(x - px, y - py) > this.radius) this._shape(context, x, y, this.radius * 0.45, true);
    }
  }

  _shape(context, x, y, radius, machine) {
    context.beginPath();
    if (machine) {
      const reach = radius * DIAMOND;
      context.moveTo(x, y - reach);
      for (const [dx, dy] of [[reach, 0], [0, reach], [-reach, 0]]) context.lineTo(x + dx, y + dy);
      context.closePath();
    } else context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
  }

  _ring(stroke, now) {
    const share = (now - stroke.landed.t) / RING;
    if (share < 0 || share >= 1) return;
    const { context } = this, machine = isMachine(stroke.who);
    const [x, y] = this.pixels(stroke.landed.x, stroke.landed.y);
    context.strokeStyle = css(this.colour(stroke.who), (1 - share) ** 1.5);
    context.lineWidth = Math.max(1.5, this.radius / 6);
    context.fillStyle = "transparent";
    this._shape(context, x, y, this.radius * (1 + 3.2 * (1 - (1 - share) ** 3)), machine);
    context.stroke();
  }

  _glow(stroke, now) {
    const share = stroke.lifted === null ? 1 : 1 - (now - stroke.lifted) / HEAD;
    if (share <= 0) return;
    const [x, y] = this.pixels(stroke.points.at(-1).x, stroke.points.at(-1).y), reach = this.radius * 4.5;
    this.context.globalAlpha = share;
    this.context.drawImage(this._glowOf(this.colour(stroke.who)), x - reach, y - reach, 2 * reach, 2 * reach);
    this.context.globalAlpha = 1;
  }

  /** Return the picture of a glow: a Gaussian to three deviations at the edge. */
  _glowOf(colour) {
    const key = css(colour);
    let glow = this._glows.get(key);
    if (!glow) {
      if (this._glows.size > 200) this._glows.clear();
      glow = document.createElement("canvas");
      glow.width = glow.height = 128;
      const context = glow.getContext("2d"), light = context.createRadialGradient(64, 64, 0, 64, 64, 64);
      for (let i = 0; i <= 16; i += 1) {
        const bright = Math.max(0, (Math.exp(-4.5 * (i / 16) ** 2) - 0.0111) / 0.9889);
        light.addColorStop(i / 16, `rgba(${colour.join()},${(bright * 0.4).toFixed(4)})`);
      }
      context.fillStyle = light;
      context.fillRect(0, 0, 128, 128);
      this._glows.set(key, glow);
    }
    return glow;
  }

  _head(stroke) {
    const [x, y] = this.pixels(stroke.points.at(-1).x, stroke.points.at(-1).y), machine = isMachine(stroke.who);
    const colour = this.colour(stroke.who);
    this.context.fillStyle = css(colour);
    this._shape(this.context, x, y, this.radius, machine);
    this.context.fillStyle = css(colour.map((c) => c + (255 - c) * 0.75));
    this._shape(this.context, x, y, this.radius * 0.5, machine);
  }
}
