// Connection to the engine's web server: it comes back by itself, and what comes in is checked.

const VERSION = 1;
/** First wait before another attempt, the longest, and that for an answer, in milliseconds. */
const FIRST_WAIT = 100, LONGEST_WAIT = 5000, PATIENCE = 4000;
/** Time between pings, in milliseconds: without an answer until the next but one, it is lost. */
const PING = 2000;
/** Events in one message at most. */
const MOST = 64;
/** Path of the jam: that of a room, where many have one door. */
export const BASE = location.pathname.match(/^\/rooms\/[^/]+\//)?.[0] ?? "/";
/** Codes after which another attempt is of no use. */
const FINAL = { 4403: "This code is no longer valid. Scan the QR code again." };
const REASONS = {
  4408: "the network is too slow", 4429: "too much was sent at once",
  4503: "the jam is full or its door is locked; trying again …",
};

/** Keeps a socket open. on: functions by the kind of a message, and by "link" (open, lost,
 * gone; with a reason). hello returns what the first message says. */
export class Socket {
  constructor({ token, on, hello }) {
    Object.assign(this, { token, on, hello });
    this.wait = FIRST_WAIT;
    this.isOpen = this.isGone = false;
    this.ignored = 0;
    this._last = 0; // time of the last touch that was sent
    this._pings = 0;
    addEventListener("online", () => this.retry());
    addEventListener("offline", () => this.drop());
    this.connect();
  }

  connect() {
    clearTimeout(this._timer);
    if (this.isGone || this.socket) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    let socket;
    try {
      socket = new WebSocket(`${scheme}://${location.host}${BASE}v1/socket?token=${encodeURIComponent(this.token)}`);
    } catch {
      this._later();
      return;
    }
    this.socket = socket;
    this._timer = setTimeout(() => this.drop(), PATIENCE);
    // The key of the last welcome makes this the same player again.
    socket.onopen = () => this.send("hello", VERSION, { ...this.hello(), key: this.key });
    socket.onmessage = (event) => socket === this.socket && this._receive(event.data);
    socket.onclose = (event) => socket === this.socket && this.drop(event.code, event.reason);
  }

  /** Close the socket, if there is one, and try again soon. */
  drop(code = 1006, reason = "") {
    const wasOpen = this.isOpen;
    this._abandon();
    if (FINAL[code]) this.end(FINAL[code]);
    if (this.isGone) return;
    this.on.link("lost", REASONS[code] ?? "");
    if (code === 4503) this.wait = LONGEST_WAIT;
    this._later();
    if (!wasOpen && code === 1006) this._check();
  }

  /** Close the socket, if there is one. */
  _abandon() {
    const { socket } = this;
    clearTimeout(this._timer);
    clearInterval(this._pinging);
    this.socket = null;
    this.isOpen = false;
    if (!socket) return;
    socket.onclose = socket.onmessage = socket.onopen = null;
    socket.close();
  }

  /** Try again at once: there is a network again, or the page is looked at again. */
  retry() {
    if (this.isOpen || this.isGone) return;
    this.wait = FIRST_WAIT;
    this._abandon();
    this.connect();
  }

  /** Close the socket for good, and say why. */
  end(reason) {
    this.isGone = true;
    this.drop();
    clearTimeout(this._timer);
    this.on.link("gone", reason);
  }

  _later() {
    clearTimeout(this._timer);
    // Not all phones of a room at the same instant.
    this._timer = setTimeout(() => this.connect(), this.wait * (0.75 + Math.random() / 4));
    this.wait = Math.min(LONGEST_WAIT, this.wait * 2);
  }

  /** Learn whether the server is there and refuses the token: a failed socket does not say so. */
  async _check() {
    if (this._checking) return;
    this._checking = true;
    try {
      const answer = await fetch(`${BASE}?token=${encodeURIComponent(this.token)}`, { cache: "no-store" });
      if (answer.status === 403 && !this.isOpen) this.end(FINAL[4403]);
    } catch {
      // There is no network.
    }
    this._checking = false;
  }

  /** Send a message if the socket is open; return whether it was sent. */
  send(...message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Send touches [t, [kind, finger, x, y]]: in the order of time, several of one time together. */
  sendTouches(touches) {
    if (!this.isOpen) return;
    if (touches.length > MOST) {
      this.sendTouches(touches.slice(0, MOST));
      this.sendTouches(touches.slice(MOST));
      return;
    }
    const times = [];
    for (const [t, event] of touches) {
      this._last = Math.max(this._last, Math.round(t * 10) / 10);
      if (times.at(-1)?.[0] === this._last) times.at(-1)[1].push(event);
      else times.push([this._last, [event]]);
    }
    if (times.length === 1) this.send("t", ...times[0]);
    else if (times.length) this.send("ts", times);
  }

  _receive(data) {
    this._pings = 0;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      message = null;
    }
    const known = Array.isArray(message) && Object.hasOwn(this.on, message[0]) && message[0] !== "link";
    try {
      if (known) {
        if (message[0] === "welcome") this._welcomed(message);
        this.on[message[0]](...message.slice(1));
      } else if (message?.[0] !== "pong") this.ignored += 1;
    } catch {
      this.ignored += 1; // what it holds is not what it should be
    }
  }

  _welcomed([, version, welcome]) {
    if (version !== VERSION || typeof welcome?.id !== "string") throw new TypeError("welcome");
    clearTimeout(this._timer);
    this.key = welcome.key;
    this.isOpen = true;
    this.wait = FIRST_WAIT;
    clearInterval(this._pinging);
    this._pinging = setInterval(() => {
      if (document.hidden) return;
      if (this._pings > 1) this.drop();
      else this.send("ping", (this._pings += 1));
    }, PING);
    this.on.link("open", "");
  }
}
