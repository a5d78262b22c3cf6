// The pad: joins the connection, the fingers, the picture, the sound and the settings.

import { Input } from "./input.js";
import { BASE, Socket } from "./socket.js";
import { Sound } from "./sound.js";
import { Strokes } from "./strokes.js";
import { Surface, isMachine } from "./surface.js";

const OWN = "own"; // the key of one's own strokes, whatever the server calls the player
const MOST_PLAYERS = 500, SPEECH_GAP = 700;
const $ = (id) => document.getElementById(id);
const SURFACE_LABEL = $("surface").getAttribute("aria-label");
const seconds = () => performance.now() / 1000;

// -- what is remembered on this device

/** Read a value that was stored here; some browsers store nothing. */
function stored(name) {
  try {
    return localStorage.getItem(`robojam-${name}`);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(`robojam-${name}`, value);
  } catch {
    // It holds for as long as the page is open.
  }
}

const fresh = new URLSearchParams(location.search).get("token");
if (fresh) store("token", fresh);
const token = fresh ?? stored("token") ?? "";

// -- state

const strokes = new Strokes(), surface = new Surface($("surface"), strokes), sound = new Sound();
const me = { id: "", name: stored("name") ?? "", role: "player", muted: false };
let players = [], turn = [], jam = {}, pending = [], link = "connecting", noticeTimer = 0;

const text = (value, most = 32) => (typeof value === "string" ? value.slice(0, most) : "");
const isColour = (value) => typeof value === "string" && /^#[0-9a-f]{6}$/i.test(value);
const isPlace = (value) => typeof value === "number" && value >= 0 && value <= 1;

// -- words: shown, and spoken by a screen reader

let spoken = "", spokenNext = "", speaking = 0;

/** Have a screen reader speak a text, the last one of a quick succession. */
function say(words) {
  spokenNext = words;
  speaking ||= setTimeout(() => {
    speaking = 0;
    if (spokenNext !== spoken) $("live").textContent = spoken = spokenNext;
  }, SPEECH_GAP);
}

/** Show a notice on the surface: for some seconds, or until the next. */
function notify(words, last = 4) {
  clearTimeout(noticeTimer);
  $("notice").textContent = words;
  $("notice").hidden = !words;
  if (words) say(words);
  if (words && last) noticeTimer = setTimeout(() => notify(""), last * 1000);
}

const nameOf = (who) => {
  if (isMachine(who)) return "robojam";
  const player = players.find(({ id }) => id === who);
  return player ? player.name || "a guest" : "";
};

/** Return a player's name in the engine: the machine's voices and other programs have it here. */
function playerOf(who) {
  const known = players.find(({ id }) => id === who)?.player;
  return known || (/^(human|ai)\d*$/.test(who) ? who : "human");
}

function showTurn() {
  const [whose, who] = turn, mine = who === me.id && me.id;
  const words = {
    lost: "reconnecting …", connecting: "connecting …", gone: "not connected",
  }[link] ?? (jam.paused ? "paused" : {
    human: mine ? "you play" : who && nameOf(who) ? `${nameOf(who)} plays` : me.role === "watcher" ? "people play" : "you can play",
    machine: "robojam plays", both: "all play",
  }[whose] ?? "connected");
  document.body.dataset.link = link;
  document.body.dataset.turn = link === "open" && !jam.paused ? whose ?? "" : "";
  $("turn").textContent = words;
  say(words);
}

function showRole() {
  const watches = me.role === "watcher", fingers = matchMedia("(pointer: coarse)").matches;
  document.body.dataset.role = me.role;
  $("hint").textContent = watches ? "you watch: others play here" : fingers ? "play with your fingers" : "play with the mouse, or with arrow keys and space";
  if (watches) $("hint").classList.remove("gone");
  $("surface").setAttribute("aria-label", watches ? "Picture of what others play. You watch." : SURFACE_LABEL);
  showPlayers();
  showTurn();
}

// -- the connection

const socket = new Socket({
  token,
  hello: () => ({ name: me.name, view: new URLSearchParams(location.search).has("view") }),
  on: {
    link(now, reason) {
      if (now === "lost" && link === "open") {
        strokes.lift(seconds(), (who) => who !== OWN); // one's own go on, and land again
        sound.silence();
      }
      link = now;
      if (reason) notify(reason, now === "gone" ? 0 : 4);
      if (now === "open") notify("");
      showTurn();
      surface.draw();
    },
    welcome(version, { id, name, color, role, pitch, state, control }) {
      Object.assign(me, { id, role: text(role) || "player" });
      me.called = text(name) || me.name;
      if (isColour(color)) {
        surface.colours.set(OWN, color);
        document.documentElement.style.setProperty("--own", color);
      }
      jam = { control: control === true };
      this.state({ ...pitch, ...state });
      showRole();
    },
    f(events) {
      const now = seconds();
      for (const [who, kind, finger, x, y] of events) {
        if (typeof who !== "string" || who.length > 40 || !Number.isInteger(finger) || who === me.id || who === OWN) continue;
        if (kind === "u") strokes.up(who, finger, now);
        else if (!isPlace(x) || !isPlace(y)) continue;
        else if (kind === "d") strokes.down(who, finger, x, y, now);
        else if (kind === "m") strokes.move(who, finger, x, y, now);
        else continue;
        sound.touch(who, kind, finger, x, y, now * 1000, { player: playerOf(who) });
      }
      surface.draw();
    },
    players(list) {
      players = list.slice(0, MOST_PLAYERS).filter((player) => typeof player?.id === "string").map((player) => ({
        id: player.id, name: text(player.name), color: isColour(player.color) ? player.color : "#fade60",
        player: text(player.player), muted: player.muted === true, here: player.here !== false,
      }));
      for (const { id, color } of players) surface.colours.set(id, color);
      const known = new Set(players.map(({ id }) => id));
      for (const id of surface.colours.keys()) if (id !== OWN && !known.has(id)) surface.colours.delete(id);
      strokes.lift(seconds(), (who) => who.startsWith("web-") && !known.has(who));
      const mine = players.find(({ id }) => id === me.id);
      if (mine && mine.muted !== me.muted) {
        me.muted = mine.muted;
        notify(me.muted ? "The host has muted you" : "You are heard again", me.muted ? 0 : 3);
      }
      showPlayers();
      showTurn();
    },
    turn(whose, who) {
      if (!["human", "machine", "both"].includes(whose)) throw new TypeError("turn");
      turn = [whose, text(who, 40)];
      if (whose === "human") strokes.lift(seconds(), isMachine);
      showTurn();
    },
    beat(beat, perBar, tempo) {
      if (![beat, perBar, tempo].every(Number.isFinite) || tempo <= 0) throw new TypeError("beat");
      if (surface.calm.matches) return;
      const glow = { duration: Math.min(300, 24000 / tempo), easing: "ease-out", pseudoElement: "::before" };
      $("surface").parentElement.animate([{ opacity: beat === 0 ? 1 : 0.45 }, { opacity: 0 }], glow);
    },
    state(changes) {
      for (const name of ["instrument", "range", "scale"]) {
        if (typeof changes[name] === "string") sound.settings[name] = changes[name];
      }
      Object.assign(jam, changes);
      showModes();
      $("lock").checked = jam.locked === true;
      showTurn();
    },
    role(role) {
      const given = text(role) || "player";
      if (given === "watcher") input.liftAll(); // as a player, whose lifts are sent
      me.role = given;
      showRole();
    },
    token(token) {
      if (typeof token !== "string") throw new TypeError("token");
      socket.token = token;
      store("token", token);
      // A page that is loaded again is to come back, too.
      if (fresh) history.replaceState(null, "", `${BASE}?token=${encodeURIComponent(token)}`);
      notify("There is a new code. Others have to scan it.");
    },
    refused(reason) {
      notify(text(reason, 200) || "The jam refuses this pad", 0);
    },
  },
});

// -- playing

const input = new Input(surface, {
  onTouch(t, kind, finger, x, y, pressure) {
    if (me.role === "watcher") return;
    const now = t / 1000;
    if (kind === "u") strokes.up(OWN, finger, now);
    else strokes[kind === "d" ? "down" : "move"](OWN, finger, x, y, now);
    const event = kind === "u" ? [kind, finger] : [kind, finger, digits(x), digits(y)];
    if (kind !== "u" && pressure !== undefined) event.push(pressure);
    pending.push([t, event]);
    sound.touch(OWN, kind, finger, x, y, t, { pressure, player: playerOf(me.id), own: true });
    $("hint").classList.add("gone");
    surface.draw();
    if (kind === "d") stayAwake();
  },
  onFlush() {
    if (!pending.length) return;
    // Coalesced events of several fingers, in the order of time.
    const touches = pending.sort(([a], [b]) => a - b);
    pending = [];
    socket.sendTouches(touches.map(([t, event]) => [t, begun(event)]));
  },
  onSay: say,
});

const digits = (value) => Math.round(value * 1e5) / 1e5;

/** Return an event; the first of a finger on a new connection lands, although it slides here. */
function begun(event) {
  const [kind, finger] = event;
  if (!socket.isOpen) return event; // it is not sent
  if (begun.socket !== socket.socket) [begun.socket, begun.fingers] = [socket.socket, new Set()];
  const lands = kind === "m" && !begun.fingers.has(finger);
  if (kind === "u") begun.fingers.delete(finger);
  else begun.fingers.add(finger);
  return lands ? ["d", ...event.slice(1)] : event;
}

/** Keep the display on, where a page may ask for it. */
async function stayAwake() {
  if (!navigator.wakeLock || stayAwake.lock || document.hidden) return;
  try {
    stayAwake.lock = await navigator.wakeLock.request("screen");
    stayAwake.lock.addEventListener("release", () => (stayAwake.lock = null));
  } catch {
    // The battery is low, or the page must not.
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return sound.silence();
  socket.retry();
  if (sound.who !== "off") sound.context?.resume();
  surface.draw();
});
addEventListener("pageshow", (event) => event.persisted && socket.retry());
addEventListener("pagehide", () => sound.silence());

// -- settings

function button(words, label, act, pressed) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: words, onclick: act });
  if (label) made.setAttribute("aria-label", label);
  if (pressed !== undefined) made.setAttribute("aria-pressed", pressed);
  return made;
}

function showModes() {
  const modes = Array.isArray(jam.modes) ? jam.modes.slice(0, 16).map((mode) => text(mode)) : [];
  $("modes").hidden = !jam.control || !modes.length;
  $("modes").replaceChildren($("modes").firstElementChild, ...modes.map((mode) =>
    button(mode, "", () => socket.send("control", "mode", mode), mode === jam.mode)));
}

function showPlayers() {
  const others = players.filter(({ here }) => here).length, isHost = me.role === "host";
  $("name").textContent = me.called || "a guest";
  $("count").textContent = others > 1 ? `${others} here` : "";
  $("players-title").textContent = `Players: ${others}`;
  $("host-part").hidden = !isHost;
  if (!$("settings").open) return;
  $("players").replaceChildren(...players.map((player) => {
    const row = document.createElement("li"), swatch = document.createElement("i"), who = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = player.color;
    who.className = player.here ? "who" : "who away";
    const name = player.name || "a guest";
    const notes = [player.id === me.id && "you", player.muted && "muted", !player.here && "away"].filter(Boolean);
    who.textContent = name + (notes.length ? ` (${notes.join(", ")})` : "");
    row.append(swatch, who);
    if (isHost && player.id !== me.id) {
      row.append(
        button(player.muted ? "unmute" : "mute", `${player.muted ? "Unmute" : "Mute"} ${name}`, () => socket.send("host", "mute", player.id, !player.muted)),
        button("remove", `Remove ${name}`, () => socket.send("host", "remove", player.id)),
      );
    }
    return row;
  }));
}

async function chooseSound(who) {
  for (const radio of document.getElementsByName("sound")) radio.checked = radio.value === who;
  $("sound").setAttribute("aria-pressed", who !== "off");
  try {
    await sound.choose(who);
  } catch {
    notify("This device gives no sound");
    if (who !== "off") chooseSound("off");
  }
}

$("sound").onclick = () => chooseSound(sound.who === "off" ? stored("sound") || "own" : "off");
for (const radio of document.getElementsByName("sound")) {
  radio.onchange = () => {
    if (radio.value !== "off") store("sound", radio.value);
    chooseSound(radio.value);
  };
}
$("volume").oninput = () => sound.setVolume(+$("volume").value);
$("settings-button").onclick = () => {
  input.liftAll();
  $("settings").showModal();
  showPlayers();
};
$("settings").onclose = () => $("surface").focus({ focusVisible: false });
// A tap beside the dialog closes it.
$("settings").onclick = (event) => {
  if (event.target === $("settings")) $("settings").close();
};
$("own-name").value = me.name;
$("own-name").onchange = () => {
  me.name = me.called = $("own-name").value.trim().slice(0, 32);
  store("name", me.name);
  socket.send("name", me.name);
  showPlayers();
};
$("lock").onchange = () => socket.send("host", "lock", $("lock").checked);
$("new-code").onclick = () => {
  const button = $("new-code"), asked = button.dataset.asked;
  const ask = (asks) => {
    button.dataset.asked = asks ? "1" : "";
    button.textContent = asks ? "press again to shut out others" : "new code";
  };
  ask(!asked);
  if (asked) socket.send("host", "token");
  else setTimeout(() => ask(false), 5000);
};
$("dwell").oninput = () => {
  input.dwell = +$("dwell").value;
  $("dwell-shown").value = `${input.dwell.toFixed(1)} s`;
  store("dwell", input.dwell);
};
const ways = { "one-switch": (on) => input.setScanning(on), resting: (on) => input.setResting(on) };
for (const [name, set] of Object.entries(ways)) {
  $(name).onchange = () => {
    const on = $(name).checked;
    for (const other of Object.keys(ways)) if (on && other !== name && $(other).checked) $(other).click();
    set(on);
    store(name, on ? "1" : "");
  };
}
if (+stored("dwell")) $("dwell").value = stored("dwell");
$("dwell").oninput();
for (const name of Object.keys(ways)) if (stored(name)) $(name).click();

if (!token) socket.end("Scan the QR code in robojam's window to join.");
if (BASE !== "/") {
  const room = BASE.split("/")[2];
  document.title = `${room} – robojam pad`;
  $("room").textContent = `Room ${room}`;
  $("room-part").hidden = false;
}
showPlayers();
showTurn();
// As an app that is installed: browsers allow it only where nobody can listen.
if (location.protocol === "https:") navigator.serviceWorker?.register("/pad/sw.js").catch(() => {});

export { input, socket, sound, strokes, surface };
