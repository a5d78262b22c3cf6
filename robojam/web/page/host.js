// The host's page: all rooms, who is there, what they use and how they are.

const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token") ?? "";
const withToken = (path) => `${path}?token=${encodeURIComponent(token)}`;
const number = (value, digits, unit) => (Number.isFinite(value) ? `${value.toFixed(digits)} ${unit}` : "–");

/** Return the word and the line of a room's health. */
function health(room) {
  if (!room.up) return ["bad", "the engine is away"];
  const { state = "ok", problems = [] } = room.health ?? {};
  return [state, problems.join("; ") || (room.locked ? "ok; its door is locked" : "ok")];
}

function row(room) {
  const made = document.createElement("tr"), [state, line] = health(room);
  const away = room.times_away ? `${room.times_away} × (${number(room.back_in, 1, "s")})` : "–";
  const cells = [
    room.name, room.people, room.free, room.watching, number(100 * room.cpu, 1, "%"),
    number(room.late_ms_p99, 2, "ms"), number(room.late_ms_max, 1, "ms"), number(room.memory_mb, 0, "MB"),
    room.lost, away, room.place, line,
  ];
  made.append(...cells.map((text) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    return cell;
  }));
  made.lastChild.className = ["ok", "warn", "bad"].includes(state) ? state : "warn";
  return made;
}

let code = "";

async function look() {
  let notice = "", again = 1000;
  try {
    const answer = await fetch(withToken("/host.json"), { cache: "no-store" });
    if (answer.status === 403) {
      notice = "This link is not valid any more: the host has printed another.";
      again = 0;
    } else if (answer.ok) {
      const { rooms, link, version, uptime_s } = await answer.json();
      $("rooms").replaceChildren(...rooms.map(row));
      $("link").href = $("link").textContent = link;
      const people = rooms.reduce((sum, room) => sum + room.people, 0);
      const cpu = rooms.reduce((sum, room) => sum + room.cpu, 0);
      const up = rooms.filter((room) => room.up).length;
      $("sum").textContent = `${up} of ${rooms.length} rooms play, ${people} people, ${cpu.toFixed(2)} cores; robojam ${version}, up ${Math.round(uptime_s / 60)} min`;
      if (code !== link) {
        $("code").src = `${withToken("/code.svg")}&at=${Date.now()}`;
        code = link;
      }
    }
  } catch {
    notice = "no connection; trying again …";
  }
  if ($("notice").textContent !== notice) $("notice").textContent = notice;
  if (again) setTimeout(look, again);
}

$("code").onload = () => ($("code").hidden = false);
$("code").onerror = () => ($("code").hidden = true);
look();
