// Listens to the console's stream and shows each panel when it changes. The browser itself opens the stream again when
// it breaks; when it is refused (signed out), the page is loaded anew, which leads to the sign-in.

import { countOn } from "./dom.js";
import { panels } from "./panels.js";

const connection = document.getElementById("connection");
const stream = new EventSource("live");

function connected(kind, words) {
  connection.className = `badge ${kind}`;
  if (connection.textContent !== words) connection.textContent = words;
}

stream.addEventListener("open", () => connected("good", "live"));
stream.addEventListener("error", () => {
  connected("bad", "connection lost");
  if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
});
for (const [name, show] of Object.entries(panels)) {
  stream.addEventListener(name, (event) => show(JSON.parse(event.data)));
}
setInterval(countOn, 1000);
