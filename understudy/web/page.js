// Sorting, filtering, keys and playing. Without it the page still shows every moment.
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const main = one("#clips"), rows = all(".index tbody tr"), clips = all(".clip");
const clipOf = (row) => document.getElementById(row.dataset.for);

// Light or dark ------------------------------------------------------------------------------------------------------
function turnLights() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}
one("#theme").addEventListener("click", turnLights);

// The list: sort, filter, where we are -------------------------------------------------------------------------------
function sortBy(button) {
  const head = button.closest("th"), key = button.dataset.sort, numbers = !["moment", "fired"].includes(key);
  const before = head.getAttribute("aria-sort"), down = before ? before === "ascending" : ["strength", "apart"].includes(key);
  all(".index th").forEach((th) => th.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const order = (a, b) => numbers ? a.dataset[key] - b.dataset[key] : a.dataset[key].localeCompare(b.dataset[key]);
  rows.sort((a, b) => (down ? -1 : 1) * order(a, b) || a.dataset.nr - b.dataset.nr);
  one(".index tbody").append(...rows);
  main.append(...rows.map(clipOf));
}
all(".index thead button").forEach((button) => button.addEventListener("click", () => sortBy(button)));

function filter() {
  const words = one("#filter").value.toLowerCase().split(/\s+/).filter(Boolean), trigger = one("#trigger").value;
  for (const row of rows) {
    const fits = words.every((word) => row.dataset.words.includes(word)) && (!trigger || row.dataset.fired.split("\n").includes(trigger));
    row.hidden = clipOf(row).hidden = !fits;
  }
  const left = rows.filter((row) => !row.hidden).length;
  one("#count").textContent = left === rows.length ? `${left} moments` : `${left} of ${rows.length} moments`;
}
if (rows.length) {
  one("#filter").addEventListener("input", filter);
  one("#trigger").addEventListener("change", filter);
}

let current = clips[0];
function mark(clip) {
  current = clip;
  for (const row of rows) {
    const here = row.dataset.for === clip.id;
    row.classList.toggle("current", here);
    if (here) { row.setAttribute("aria-current", "true"); keepInSight(row); } else row.removeAttribute("aria-current");
  }
}
function keepInSight(row) {
  const box = row.closest(".scroll"), head = 32;
  if (row.offsetTop < box.scrollTop + head) box.scrollTop = row.offsetTop - head;
  else if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight;
}
function go(clip) {
  clip.scrollIntoView({ block: "start" });
  clip.focus({ preventScroll: true });
  mark(clip);
}
rows.forEach((row) => row.addEventListener("click", (event) => { event.preventDefault(); go(clipOf(row)); }));
function step(by) {
  const seen = all(".clip").filter((clip) => !clip.hidden);
  const next = seen[Math.min(Math.max(seen.indexOf(current) + by, 0), seen.length - 1)];
  if (next) go(next);
}
if (rows.length) {
  const watch = new IntersectionObserver((found) => {
    for (const entry of found) if (entry.isIntersecting) mark(entry.target);
  }, { rootMargin: "-25% 0px -70% 0px" });
  clips.forEach((clip) => watch.observe(clip));
  mark(current);
}

// Time: the picture from above, the line through the charts and their values ------------------------------------------
function show(clip, seconds) {
  const { at, from, to } = clip.dataset, still = seconds === null, time = still ? +at : seconds;
  const share = (time - from) / (to - from), bev = one(".bev", clip);
  all(".when", clip).forEach((line) => { line.setAttribute("x1", `${100 * share}%`); line.setAttribute("x2", `${100 * share}%`); });
  for (const signal of all(".signal[data-low]", clip)) for (const value of all("b", signal)) value.textContent = valueAt(signal, value.className, share);
  const slider = one(".play input", clip);
  if (!slider) return;
  slider.value = time;
  one(".play output", clip).textContent = `${time.toFixed(1)} s`;
  const near = [...all(".then", bev)].reduce((best, next) => Math.abs(next.dataset.s - time) < Math.abs(best.dataset.s - time) ? next : best);
  all(".then.on", bev).forEach((layer) => layer.classList.remove("on"));
  bev.classList.toggle("plays", !still);
  if (!still) near.classList.add("on");
  one(".ground", bev).setAttribute("transform", still ? "" : near.dataset.ground);
}
function valueAt(signal, look, share) {
  const path = one(`path[class="${look}"]`, signal).getAttribute("d"), { low, high, places } = signal.dataset;
  const points = (path.match(/[^ML]+/g) || []).map((text) => text.split(" ").map(Number));
  const near = points.reduce((best, next) => Math.abs(next[0] - 1000 * share) < Math.abs(best[0] - 1000 * share) ? next : best, [Infinity, 0]);
  return Math.abs(near[0] - 1000 * share) > 20 ? "\u2013" : (+low + (90 - near[1]) / 80 * (high - low)).toFixed(places).replace(/^-(?=[0.]*$)/, "").replace("-", "\u2212");
}
let playing = null;
function stop() { if (playing) { cancelAnimationFrame(playing.frame); one(".play button", playing.clip).textContent = "Play"; playing = null; } }
function play(clip) {
  const mine = playing && playing.clip === clip;
  stop();
  if (mine || !one(".play", clip)) return;
  const slider = one(".play input", clip), to = +clip.dataset.to, from = +clip.dataset.from;
  let time = +slider.value >= to - 0.1 ? from : +slider.value, before = null;
  if (!one(".bev.plays", clip)) time = from;
  const tick = (now) => {
    time += before === null ? 0 : Math.min((now - before) / 1000, 0.2);
    before = now;
    if (time >= to) { stop(); show(clip, null); return; }
    show(clip, time);
    playing.frame = requestAnimationFrame(tick);
  };
  playing = { clip, frame: requestAnimationFrame(tick) };
  one(".play button", clip).textContent = "Stop";
}
for (const clip of clips) {
  const { at, from, to } = clip.dataset;
  one(".play button", clip)?.addEventListener("click", () => play(clip));
  one(".play input", clip)?.addEventListener("input", (event) => { stop(); show(clip, +event.target.value); });
  for (const chart of all(".chart", clip)) {
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
      if (!playing && event.pointerType !== "touch") show(clip, +from + share * (to - from));
    });
    chart.addEventListener("pointerleave", () => { if (!playing) show(clip, null); });
  }
}

// Copying and keys -----------------------------------------------------------------------------------------------------
for (const button of all(".copy")) {
  button.addEventListener("click", async () => {
    try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "Copied"; }
    catch { getSelection().selectAllChildren(one("code", button.closest("header"))); button.textContent = "Selected"; }
    setTimeout(() => { button.textContent = "Copy id"; }, 1500);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, select, textarea");
  if (typing) { if (event.key === "Escape") typing.blur(); return; }
  const does = { j: () => step(1), ArrowRight: () => step(1), k: () => step(-1), ArrowLeft: () => step(-1), t: turnLights,
    "/": () => one("#filter")?.focus(), " ": event.target.closest("button, summary, a") ? null : () => current && play(current) }[event.key];
  if (does) { event.preventDefault(); does(); }
});
