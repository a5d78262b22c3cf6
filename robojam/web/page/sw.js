// Keeps the page for an installed pad, and always asks the server first: it is never out of date.
const FILES = ["index.html", "pad.css", "pad.js", "input.js", "socket.js", "sound.js", "strokes.js", "surface.js"];
self.addEventListener("install", (event) => event.waitUntil(caches.open("pad").then((cache) => cache.addAll(FILES.map((name) => `/pad/${name}`)))));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || !new URL(request.url).pathname.startsWith("/pad/")) return;
  event.respondWith(fetch(request).catch(async () => (await caches.match(request)) ?? Response.error()));
});
