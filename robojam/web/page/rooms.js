// The first page of many rooms: their list, and who gives a room.

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

/** Read or write the token that was stored here; some browsers store nothing. */
function stored(value) {
  try {
    if (value) localStorage.setItem("robojam-token", value);
    return localStorage.getItem("robojam-token");
  } catch {
    return value;
  }
}

const token = query.get("token") ?? stored() ?? "";
const withToken = (path) => `${path}?token=${encodeURIComponent(token)}`;
$("give").href = withToken("/give");
if (query.has("full")) $("notice").dataset.last = "All rooms are full. You can watch, or wait for a free place.";

function words({ people, free, open }) {
  if (!open) return "closed just now";
  const here = people === 0 ? "nobody here" : people === 1 ? "1 person" : `${people} people`;
  return `${here} · ${free ? `${free} free` : "full: watch"}`;
}

function show(rooms) {
  $("rooms").replaceChildren(...rooms.map((room) => {
    const item = document.createElement("li"), link = document.createElement("a");
    const name = document.createElement("b"), about = document.createElement("span");
    link.className = "room";
    if (room.open) link.href = withToken(`/rooms/${encodeURIComponent(room.name)}/`) + (room.free ? "" : "&view");
    name.textContent = room.name;
    about.textContent = words(room);
    link.append(name, about);
    item.append(link);
    return item;
  }));
}

async function look() {
  let notice = $("notice").dataset.last ?? "", again = 3000;
  try {
    const answer = await fetch(withToken("/rooms.json"), { cache: "no-store" });
    if (answer.status === 403) {
      notice = "This code is no longer valid. Scan the QR code again.";
      again = 0;
      show([]);
    } else if (answer.ok) {
      stored(token);
      const { rooms } = await answer.json();
      if (rooms.some(({ free, open }) => free && open)) notice = $("notice").dataset.last = "";
      show(rooms);
    }
  } catch {
    notice = "no connection; trying again …";
  }
  if ($("notice").textContent !== notice) $("notice").textContent = notice;
  if (again) setTimeout(look, again);
}

look();
