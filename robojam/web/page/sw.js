// Keeps the page for an installed pad that is opened while no robojam is there. The server is always asked first.
const FILES = ["index.html", "pad.css", "pad.js", "input.js", "socket.js", "sound.js", "strokes.js", "surface.js"];
const opened = caches.open("pad");

/** Return the server's answer, of which a copy is kept, or the last copy where there is none. */
async function answer(request) {
  const cache = await opened;
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch {
    return (await cache.match(request)) ?? Response.error();
  }
}

self.addEventListener("install", (event) => event.waitUntil(opened.then((cache) => cache.addAll(FILES.map((name) => `/pad/${name}`)))));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).pathname.startsWith("/pad/")) event.respondWith(answer(request));
});
