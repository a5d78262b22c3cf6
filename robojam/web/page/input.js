// Fingers, pens, the mouse, the keyboard, one switch and a resting pointer: all become touches.

/** Keys that move the cursor: their direction. */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PLAYS = new Set([" ", "Enter"]);
/** Speed of the cursor in screens a second, with shift, and its first step. */
const SPEED = 0.55, FINE_SPEED = 0.14, STEP = 0.012;
/** Columns and rows over which the lines move that one switch stops. */
export const COLUMNS = 12, ROWS = 6;
/** Pixels that a pointer may move and still rest. */
const REST = 14;

/** Turns events of a canvas into touches. onTouch(t, kind, finger, x, y, pressure) gets each, t
 * in ms, kind d, m or u; onFlush() is called once those of one instant have been given; onSay
 * gets what a screen reader speaks. */
export class Input {
  constructor(surface, { onTouch, onFlush, onSay }) {
    Object.assign(this, { surface, onTouch, onFlush, onSay });
    this.fingers = new Map(); // what holds a finger down (pointer, "keys", "switch", "rest"): its state
    this.cursor = { x: 0.5, y: 0.5, shown: false };
    this.scan = null;
    this.rests = null; // of a pointer that plays by resting: its pixel (at), place, and since when
    this.dwell = 0.9;
    this._arrows = new Set();
    this._measures = false; // whether the screen has shown that it measures a finger's force
    this._flusher = new MessageChannel();
    this._flusher.port1.onmessage = () => this.onFlush();
    this._listen(surface.canvas);
    for (const draw of ["_drawCursor", "_drawScan", "_drawRest"]) {
      surface.overlays.push((...at) => this[draw](...at));
    }
  }

  _listen(canvas) {
    const stop = { passive: false };
    const area = canvas.parentElement; // the margin and the round corners, too
    area.addEventListener("pointerdown", (event) => this._pointerDown(event));
    area.addEventListener("pointermove", (event) => this._pointerMove(event));
    area.addEventListener("pointerleave", () => this._endRest());
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      area.addEventListener(end, (event) => this._pointerUp(event));
    }
    // Nothing scrolls, zooms, selects or opens a menu while one plays.
    for (const kind of ["touchstart", "touchmove", "touchend"]) area.addEventListener(kind, (e) => e.preventDefault(), stop);
    for (const kind of ["contextmenu", "gesturestart", "gesturechange", "dragstart", "selectstart"]) {
      document.addEventListener(kind, (event) => event.target.matches?.("input") || event.preventDefault(), stop);
    }
    canvas.addEventListener("keydown", (event) => this._keyDown(event));
    canvas.addEventListener("keyup", (event) => this._keyUp(event));
    canvas.addEventListener("blur", () => {
      this._arrows.clear();
      this._lift("keys");
      this._lift("switch");
      this.cursor.shown = false;
      this.surface.draw();
    });
    canvas.addEventListener("focus", () => {
      this.cursor.shown = canvas.matches(":focus-visible");
      this.surface.draw();
    });
    document.addEventListener("visibilitychange", () => document.hidden && this.liftAll());
    addEventListener("pagehide", () => this.liftAll());
    addEventListener("freeze", () => this.liftAll());
    addEventListener("blur", () => this.liftAll());
  }

  _pointerDown(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.surface.canvas.focus({ preventScroll: true, focusVisible: false });
    this.cursor.shown = false;
    if (this.scan) {
      this._pressSwitch();
      this._switchPointer = event.pointerId;
      return;
    }
    try {
      event.currentTarget.setPointerCapture(event.pointerId);
    } catch {
      // The pointer is already gone.
    }
    this._land(event.pointerId, ...this.surface.place(event.clientX, event.clientY), timeOf(event), this._pressure(event));
  }

  _pointerMove(event) {
    if (this.rests && !event.buttons && event.pointerType !== "touch") this._hover(event);
    const state = this.fingers.get(event.pointerId);
    if (!state) return;
    const all = event.getCoalescedEvents?.() ?? [];
    for (const each of all.length ? all : [event]) {
      const place = this.surface.place(each.clientX, each.clientY), pressure = this._pressure(each);
      if (place[0] === state.x && place[1] === state.y) continue; // pressed more, and held still
      this._slide(state, ...place, timeOf(each), pressure);
    }
  }

  _pointerUp(event) {
    if (event.pointerId === this._switchPointer) {
      this._switchPointer = null;
      this._releaseSwitch();
    }
    this._lift(event.pointerId, timeOf(event));
  }

  /** Return an event's pressure, 0..1: a pen's, and a finger's on a screen that measures force,
   * as those that do not report 1, a half or 0 for every touch. Undefined where none is measured. */
  _pressure({ pointerType, pressure }) {
    if (pointerType === "touch" && pressure > 0 && pressure < 1 && pressure !== 0.5) this._measures = true;
    const isMeasured = pointerType === "pen" || (pointerType === "touch" && this._measures);
    return isMeasured ? Math.round(pressure * 1000) / 1000 : undefined;
  }

  _land(holder, x, y, t, pressure) {
    this._lift(holder, t);
    const used = new Set([...this.fingers.values()].map((state) => state.finger));
    let finger = 0;
    while (used.has(finger)) finger += 1;
    this.fingers.set(holder, { finger, x, y });
    this.onTouch(t, "d", finger, x, y, pressure);
    this.onFlush();
  }

  _slide(state, x, y, t, pressure) {
    Object.assign(state, { x, y });
    this.onTouch(t, "m", state.finger, x, y, pressure);
    // Once the events of all fingers of this frame are there.
    this._flusher.port2.postMessage(0);
  }

  _lift(holder, t = performance.now()) {
    const state = this.fingers.get(holder);
    if (!state) return;
    this.fingers.delete(holder);
    this.onTouch(t, "u", state.finger, state.x, state.y);
    this.onFlush();
  }

  /** Lift all fingers: nobody sees what they do any more. */
  liftAll() {
    this._arrows.clear();
    this._endRest();
    for (const holder of [...this.fingers.keys()]) this._lift(holder);
    if (this.scan?.phase === "play") this._startScan();
  }

  // -- keyboard

  _keyDown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const plays = PLAYS.has(event.key), arrow = ARROWS[event.key];
    if (!plays && !arrow) return;
    event.preventDefault();
    if (this.scan) {
      if (plays && !event.repeat) this._pressSwitch();
      return;
    }
    this.cursor.shown = true;
    this._fine = event.shiftKey;
    if (plays && !event.repeat) this._land("keys", this.cursor.x, this.cursor.y, performance.now());
    if (arrow && !event.repeat) {
      this._arrows.add(event.key);
      this._moveCursor(this._fine ? STEP / 4 : STEP);
      this._movedAt = performance.now();
    }
    this.surface.draw();
  }

  _keyUp(event) {
    this._fine = event.shiftKey;
    this._arrows.delete(event.key);
    if (!PLAYS.has(event.key)) return;
    if (this.scan) this._releaseSwitch();
    else this._lift("keys");
  }

  _moveCursor(distance) {
    let [dx, dy] = [0, 0];
    for (const key of this._arrows) [dx, dy] = [dx + ARROWS[key][0], dy + ARROWS[key][1]];
    const length = Math.hypot(dx, dy);
    if (!length) return;
    const { cursor } = this, within = (value) => Math.min(1, Math.max(0, value));
    cursor.x = within(cursor.x + (dx / length) * distance);
    cursor.y = within(cursor.y + (dy / length) * distance);
    const state = this.fingers.get("keys");
    if (state) this._slide(state, cursor.x, cursor.y, performance.now());
  }

  _drawCursor(context, surface, now) {
    const { cursor } = this;
    if (this._arrows.size) {
      this._moveCursor((this._fine ? FINE_SPEED : SPEED) * Math.min(0.05, Math.max(0, now - this._movedAt / 1000)));
      this._movedAt = now * 1000;
    }
    if (!cursor.shown || this.scan) return false;
    const [x, y] = surface.pixels(cursor.x, cursor.y);
    context.strokeStyle = "#fff";
    context.lineWidth = Math.max(1.5, surface.radius / 7);
    context.beginPath();
    for (const [dx, dy] of Object.values(ARROWS)) {
      context.moveTo(x + dx * surface.radius * 1.3, y + dy * surface.radius * 1.3);
      context.lineTo(x + dx * surface.radius * 2.4, y + dy * surface.radius * 2.4);
    }
    context.stroke();
    return this._arrows.size > 0;
  }

  // -- a pointer that nobody can click: where it rests it lands, where it rests again it lifts

  /** Let a mouse, a head or eyes play by resting. */
  setResting(on) {
    this.liftAll();
    this.rests = on ? {} : null;
    this.surface.draw();
  }

  _hover(event) {
    const { rests } = this, { clientX: x, clientY: y } = event;
    const state = this.fingers.get("rest"), place = this.surface.place(x, y);
    if (state) this._slide(state, ...place, timeOf(event));
    if (rests.at && Math.hypot(x - rests.at[0], y - rests.at[1]) <= REST) return;
    clearTimeout(this._restTimer);
    Object.assign(rests, { at: [x, y], place, since: performance.now() });
    this._restTimer = setTimeout(() => this._rested(), this.dwell * 1000);
    this.surface.draw();
  }

  _rested() {
    const { rests } = this, plays = this.fingers.has("rest");
    rests.since = null;
    if (plays) this._lift("rest");
    else this._land("rest", ...rests.place, performance.now());
    this.onSay(plays ? "lifted" : "playing");
    this.surface.draw();
  }

  _endRest() {
    clearTimeout(this._restTimer);
    this._lift("rest");
    if (this.rests) this.rests = {};
  }

  /** A ring closes around the place while the pointer rests there. */
  _drawRest(context, surface, now) {
    const { rests } = this;
    if (!rests?.since) return false;
    const share = Math.min(1, (now - rests.since / 1000) / this.dwell);
    context.strokeStyle = "rgb(255 226 120 / .9)";
    context.lineWidth = Math.max(2, surface.radius / 5);
    context.beginPath();
    context.arc(...surface.pixels(...rests.place), surface.radius * 2, -Math.PI / 2, (2 * share - 0.5) * Math.PI);
    context.stroke();
    return true;
  }

  // -- one switch: a column is chosen, then a row, then it plays while it is held

  /** Let lines move over the surface that a switch stops, or fingers play directly. */
  setScanning(on) {
    this.liftAll();
    clearTimeout(this._scanTimer);
    this.scan = null;
    if (on) this._startScan();
    this.surface.draw();
  }

  _startScan() {
    this.scan = { phase: "x", column: 0, row: 0 };
    this._nextStep();
  }

  _nextStep() {
    clearTimeout(this._scanTimer);
    this._scanTimer = setTimeout(() => {
      const { scan } = this;
      if (!scan || scan.phase === "play") return;
      if (document.hidden) return this._nextStep();
      if (scan.phase === "x") scan.column = (scan.column + 1) % COLUMNS;
      else scan.row = (scan.row + 1) % ROWS;
      this.surface.draw();
      this._nextStep();
    }, this.dwell * 1000);
  }

  _pressSwitch() {
    const { scan } = this;
    if (scan.phase === "x") {
      scan.phase = "y";
      this.onSay(`column ${scan.column + 1} of ${COLUMNS}`);
      this._nextStep();
    } else if (scan.phase === "y") {
      scan.phase = "play";
      this._land("switch", (scan.column + 0.5) / COLUMNS, (scan.row + 0.5) / ROWS, performance.now());
    }
    this.surface.draw();
  }

  _releaseSwitch() {
    if (this.scan?.phase !== "play") return;
    this._lift("switch");
    this._startScan();
    this.surface.draw();
  }

  _drawScan(context, surface) {
    const { scan } = this;
    if (!scan) return false;
    const [left, top] = surface.pixels(scan.column / COLUMNS, scan.row / ROWS);
    const [right, low] = surface.pixels((scan.column + 1) / COLUMNS, (scan.row + 1) / ROWS);
    const active = "rgb(255 226 120 / .5)", chosen = "rgb(255 226 120 / .2)";
    context.fillStyle = scan.phase === "x" ? active : chosen;
    context.fillRect(left, 0, right - left, surface.height);
    if (scan.phase === "x") return false;
    context.fillStyle = active;
    context.fillRect(scan.phase === "y" ? 0 : left, top, scan.phase === "y" ? surface.width : right - left, low - top);
    return false;
  }
}

/** Return an event's time in ms, of the clock of performance.now(). */
function timeOf(event) {
  const now = performance.now();
  return event.timeStamp > 0 && event.timeStamp <= now ? event.timeStamp : now;
}
