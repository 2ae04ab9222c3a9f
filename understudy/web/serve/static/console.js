// On every page: light or dark, going anywhere, lists that change in place, tracks on a map, a turn as it goes.
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const typing = (event) => event.target.closest("input:not([type=range]):not([type=checkbox]), select, textarea");

// Light or dark ------------------------------------------------------------------------------------------------------
const root = document.documentElement;
const remembered = localStorage.getItem("theme");
if (remembered) root.dataset.theme = remembered;
function turnLights() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  document.dispatchEvent(new Event("lights"));
}
one("#theme").addEventListener("click", turnLights);

// Anywhere -----------------------------------------------------------------------------------------------------------
const palette = one("#palette"), box = one("input", palette), found = one("ul", palette);
let asked = 0, answered;  // the newest question, and the promise of its answer
function search() { answered = look(); }
async function look() {
  const mine = ++asked, answer = await fetch(`/search?q=${encodeURIComponent(box.value)}`, { headers: { accept: "application/json" } });
  if (mine !== asked || !answer.ok) return;
  found.replaceChildren(...(await answer.json()).map((row, i) => {
    const item = document.createElement("li"), link = document.createElement("a"), kind = document.createElement("small");
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", i === 0);
    link.href = row.address;
    kind.textContent = row.kind;
    link.append(kind, row.name);
    item.append(link);
    return item;
  }));
}
function choose(by) {
  const items = all("li", found), now = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  items.forEach((item, i) => item.setAttribute("aria-selected", i === (now + by + items.length) % items.length));
  one("[aria-selected=true]", found)?.scrollIntoView({ block: "nearest" });
}
function openPalette() { palette.showModal(); box.select(); search(); }
one("#find").addEventListener("click", openPalette);
box.addEventListener("input", search);
palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
palette.addEventListener("keydown", async (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); choose(event.key === "ArrowDown" ? 1 : -1); }
  if (event.key === "Enter") { event.preventDefault(); await answered; one("[aria-selected=true] a", found)?.click(); }  // who types fast means what was typed
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openPalette(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || palette.open) return;
  if (typing(event)) { if (event.key === "Escape") event.target.blur(); return; }
  if (event.key === "t") turnLights();
  if (event.key === "/") { const field = one("input[type=search]:not(#palette input)"); if (field) { event.preventDefault(); field.focus(); } }
});

// Lists that change in place: the page that a link or form leads to, of which only the list is taken -------------------
async function live(address, remember = true) {
  const answer = await fetch(address);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#live");
  if (!fresh) { location.href = address; return; }
  one("#live").replaceWith(fresh);
  if (remember) history.replaceState(null, "", address);
  drawMaps();
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-live]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); live(link.href); }
});
for (const form of all("form[data-live]")) {
  let waiting;
  const go = () => live(`${form.getAttribute("action")}?${new URLSearchParams([...new FormData(form)].filter(([, value]) => value))}`);
  form.addEventListener("submit", (event) => { event.preventDefault(); go(); });
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(go, 150); });
}

// Tracks -------------------------------------------------------------------------------------------------------------
async function drawMap(map) {
  const canvas = one("canvas", map), said = one(".said", map), frame = one("select", map).value;
  const answer = await fetch(`/tracks${map.dataset.query}frame=${encodeURIComponent(frame)}`);
  if (!answer.ok) return;
  const data = await answer.arrayBuffer(), size = new DataView(data).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, size))), xy = new Float32Array(data, 4 + size);
  const scale = devicePixelRatio || 1, width = canvas.width = canvas.clientWidth * scale, height = canvas.height = canvas.clientHeight * scale;
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < xy.length; i += 2) { left = Math.min(left, xy[i]); right = Math.max(right, xy[i]); low = Math.min(low, xy[i + 1]); high = Math.max(high, xy[i + 1]); }
  const unit = 0.92 * Math.min(width / Math.max(right - left, 20), height / Math.max(high - low, 20));
  const at = (i) => [width / 2 + (xy[i] - (left + right) / 2) * unit, height / 2 - (xy[i + 1] - (low + high) / 2) * unit];
  const draw = canvas.getContext("2d"), starts = [];
  const colour = (name) => { canvas.style.color = `var(${name})`; return getComputedStyle(canvas).color; };
  const paint = (chosen) => {
    draw.clearRect(0, 0, width, height);
    draw.lineWidth = 1.5 * scale; draw.lineJoin = "round"; draw.strokeStyle = colour("--human");
    draw.globalAlpha = head.drives.length > 300 ? 0.35 : 0.8;
    for (let k = 0, i = 0; k < head.drives.length; i += 2 * head.points[k++]) {
      starts[k] = i;
      if (k === chosen) continue;
      draw.beginPath();
      for (let j = 0; j < head.points[k]; j++) draw.lineTo(...at(i + 2 * j));
      draw.stroke();
    }
    if (chosen >= 0) {
      draw.globalAlpha = 1; draw.lineWidth = 4 * scale; draw.strokeStyle = colour("--p1"); draw.beginPath();
      for (let j = 0; j < head.points[chosen]; j++) draw.lineTo(...at(starts[chosen] + 2 * j));
      draw.stroke();
    }
    const metres = [5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5].find((length) => length * unit < width / 3) || 5;
    draw.globalAlpha = 1; draw.fillStyle = draw.strokeStyle = colour("--ink"); draw.lineWidth = 2 * scale;
    draw.beginPath(); draw.moveTo(14 * scale, height - 14 * scale); draw.lineTo(14 * scale + metres * unit, height - 14 * scale); draw.stroke();
    draw.font = `${12 * scale}px system-ui, sans-serif`;
    draw.fillText(metres >= 1000 ? `${metres / 1000} km` : `${metres} m`, 14 * scale, height - 20 * scale);
  };
  paint(-1);
  const near = (event) => {
    const bounds = canvas.getBoundingClientRect(), px = (event.clientX - bounds.left) * scale, py = (event.clientY - bounds.top) * scale;
    let best = -1, least = 12 * scale;
    for (let k = 0, i = 0; k < head.drives.length; i += 2 * head.points[k++])
      for (let j = 0; j < head.points[k]; j++) { const [x, y] = at(i + 2 * j), far = Math.hypot(x - px, y - py); if (far < least) { least = far; best = k; } }
    return best;
  };
  let shown = -1;
  canvas.onpointermove = (event) => { const k = near(event); if (k !== shown) { shown = k; paint(k); said.textContent = k < 0 ? "Drawn from the poses of the drives; a click opens a drive." : head.drives[k]; } };
  canvas.onclick = (event) => { const k = near(event); if (k >= 0) location.href = `/drives/${head.drives[k].split("/").map(encodeURIComponent).join("/")}`; };
  canvas.dataset.drawn = head.drives.length;
}
function drawMaps() {
  for (const map of all(".map")) { one("select", map).onchange = () => drawMap(map); drawMap(map); }
}
drawMaps();
document.addEventListener("lights", drawMaps);

// Copying ------------------------------------------------------------------------------------------------------------
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const before = button.textContent;
  try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "Copied"; }
  catch { button.textContent = button.dataset.copy; return; }
  setTimeout(() => { button.textContent = before; }, 1500);
});

// Another program ----------------------------------------------------------------------------------------------------
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".foxglove");
  if (!button) return;
  const said = button.nextElementSibling;
  said.textContent = "being written";
  const answer = await fetch("/foxglove", { method: "POST", body: new URLSearchParams({ moment: button.dataset.moment }), headers: { accept: "application/json" } });
  const told = await answer.json();
  said.textContent = told.error ?? "handed over for ten minutes; nothing opens where the app is not installed";
  if (told.open) location.href = told.open;
});

// A turn as it goes --------------------------------------------------------------------------------------------------
const progress = one("[data-progress]");
if (progress) {
  const lines = new EventSource("/progress");
  lines.onmessage = (event) => {
    const line = JSON.parse(event.data), row = one(`[data-step="${CSS.escape(line.step)}"]`);
    if (line.said === "KeyboardInterrupt") return;  // it was stopped, which the lock tells
    if (["done", "skipped", "failed"].includes(line.state)) live(location.href, false);
    progress.textContent = `Turn ${line.turn}, ${line.step}: ${line.state}${line.of ? `, ${line.done} of ${line.of}` : ""}${line.said || line.what ? `, ${line.said || line.what}` : ""}`;
    if (row && progress.dataset.progress === String(line.turn)) {
      const state = one(".state", row), dot = document.createElement("span");
      dot.className = `dot ${line.state}`;
      state.replaceChildren(dot, `${line.state}${line.of ? ` ${line.done} of ${line.of}` : ""}`);
    }
  };
  lines.addEventListener("running", (event) => {
    const running = String(JSON.parse(event.data).running);
    if (running === progress.dataset.running) return;
    progress.dataset.running = running;
    if (running === "false") progress.textContent = "";
    live(location.href, false);
  });
}

// What is being made is looked after again -------------------------------------------------------------------------------
const again = one("[data-again]");
if (again) setTimeout(() => location.reload(), +again.dataset.again);
