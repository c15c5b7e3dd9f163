// Small pieces of the page. Text only ever becomes text: what people typed into a label cannot become markup.

export function element(tag, { text, className, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export const badge = (kind, text) => element("span", { className: `badge ${kind}`, text });

// A moment that is shown as the time since then, and counts on by itself.
export function since(milliseconds) {
  if (!milliseconds) return element("span", { text: "–" });
  const made = element("time", { datetime: new Date(milliseconds).toISOString(), "data-since": milliseconds });
  made.title = new Date(milliseconds).toLocaleString();
  made.textContent = duration(milliseconds);
  return made;
}

function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor((Date.now() - milliseconds) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} days`;
}

export function countOn() {
  for (const shown of document.querySelectorAll("[data-since]")) {
    const text = duration(Number(shown.dataset.since));
    if (shown.textContent !== text) shown.textContent = text;
  }
}

// Brings a table to these rows, each [key, cells]. A row that is as it was stays the element it was.
export function fillTable(id, rows, empty) {
  const table = document.getElementById(id);
  const body = table.tBodies[0];
  const labels = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  const wanted = rows.map(([key, cells]) => {
    const fresh = element("tr", { "data-key": key });
    cells.forEach((cell, place) => {
      const inside = cell instanceof Node ? cell : document.createTextNode(cell ?? "");
      fresh.append(element("td", { "data-label": labels[place] }, inside));
    });
    const old = known.get(String(key));
    return old?.isEqualNode(fresh) ? old : fresh;
  });
  if (!wanted.length) {
    const cell = element("td", { className: "empty", colspan: labels.length, text: empty });
    wanted.push(element("tr", { "data-key": "" }, cell));
  }
  body.replaceChildren(...wanted);
}
