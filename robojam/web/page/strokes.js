// Strokes: the paths of fingers on the surface, and how they fade. Times are in seconds.
// The figures are those of robojam/window/client/strokes.py; a test compares them.

/** Seconds after which a point has faded; a point loses its first brightness within GLARE
 * seconds, down to the share AFTERGLOW. */
export const FADE = 8, GLARE = 2.5, AFTERGLOW = 0.55;
/** Duration of the ring that opens where a finger lands, and of a mark's fading after its lift. */
export const RING = 0.55, HEAD = 0.35;
/** Points kept at most: any number may arrive from the network. */
export const MAX_POINTS = 6000;
const SPEED_SMOOTHING = 0.35;

const smoothstep = (value) => {
  const v = Math.min(1, Math.max(0, value));
  return v * v * (3 - 2 * v);
};

/** Return the brightness of a point of an age in seconds: 1 at first, 0 from FADE on. */
export const brightness = (age) =>
  (1 - AFTERGLOW) * smoothstep(1 - age / GLARE) + AFTERGLOW * smoothstep(1 - age / FADE);

/** Strokes that are still visible, in the order of landing. A stroke is one finger's path. */
export class Strokes {
  constructor() {
    this.visible = [];
    this.count = 0;
    this.held = new Map();
  }

  /** Begin a stroke; a finger that was down is lifted first. x, y are 0..1. */
  down(who, finger, x, y, now) {
    this.up(who, finger, now);
    const stroke = { who, finger, points: [{ t: now, x, y, speed: 0 }], landed: { t: now, x, y }, lifted: null };
    this.visible.push(stroke);
    this.held.set(`${who} ${finger}`, stroke);
    this._counted(now);
  }

  /** Extend a finger's stroke; a finger that was not down lands. */
  move(who, finger, x, y, now) {
    const stroke = this.held.get(`${who} ${finger}`);
    if (!stroke) return this.down(who, finger, x, y, now);
    const last = stroke.points.at(-1);
    const speed = Math.hypot(x - last.x, y - last.y) / Math.max(0.004, now - last.t);
    stroke.points.push({ t: now, x, y, speed: last.speed + (speed - last.speed) * SPEED_SMOOTHING });
    this._counted(now);
  }

  /** Lift a finger; one that was not down is ignored. */
  up(who, finger, now) {
    const stroke = this.held.get(`${who} ${finger}`);
    if (!stroke) return;
    stroke.lifted = now;
    this.held.delete(`${who} ${finger}`);
  }

  /** Lift all fingers, or those of the players that a function chooses. */
  lift(now, chosen = () => true) {
    for (const stroke of [...this.held.values()]) if (chosen(stroke.who)) this.up(stroke.who, stroke.finger, now);
  }

  /** Discard what has faded. */
  fade(now) {
    for (const stroke of this.visible) {
      let faded = 0;
      while (faded < stroke.points.length - 1 && now - stroke.points[faded + 1].t > FADE) faded += 1;
      if (faded) stroke.points.splice(0, faded);
    }
    this.visible = this.visible.filter(
      (s) => s.lifted === null || now - Math.max(s.points.at(-1).t, s.lifted - FADE + HEAD) < FADE,
    );
    this.count = this.visible.reduce((sum, s) => sum + s.points.length, 0);
  }

  /** Return whether a stroke changes with time alone. */
  isAnimating(now) {
    return this.visible.some((s) => s.lifted !== null || now - s.points.at(-1).t <= FADE);
  }

  _counted(now) {
    this.count += 1;
    if (this.count <= MAX_POINTS) return;
    this.fade(now);
    while (this.count > MAX_POINTS / 2 && this.visible.length > 1) {
      const oldest = this.visible.shift();
      this.count -= oldest.points.length;
      const key = `${oldest.who} ${oldest.finger}`;
      if (this.held.get(key) === oldest) this.held.delete(key);
    }
    if (this.count > MAX_POINTS) {
      this.count -= this.visible[0].points.splice(0, this.count - MAX_POINTS / 2).length;
    }
  }
}
