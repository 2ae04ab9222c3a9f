// Plays a moment: every camera at its own rate, the scene from above ten times a second, a line through the charts.
// What plays comes in answers of a second each (media.py), some seconds ahead.
"use strict";

const AHEAD = 3, HELD = 12, DECODED = 4;

class Player {
  constructor(section) {
    this.section = section;
    const { drive, part, start, stop, at, truth } = section.dataset;
    Object.assign(this, { drive, part, truth, start: +start, stop: +stop, at: +at, time: +at });
    this.bevs = all(".bev", section);
    this.slider = one(".scrub input", section);
    this.output = one(".scrub output", section);
    this.button = one(".go", section);
    this.cameras = all(".cam", section).map((figure) => ({
      figure, index: +figure.dataset.camera, img: one("img", figure), canvas: one("canvas", figure), overlay: one("svg", figure), shown: null, drawn: 0,
    }));
    this.chunks = new Map();
    this.speed = 1;
    this.moved = false;
    this.connect();
  }

  connect() {
    this.button.addEventListener("click", () => this.toggle());
    this.slider.addEventListener("input", () => { this.pause(); this.show(+this.slider.value); });
    one(".speed select", this.section).addEventListener("change", (event) => { this.speed = +event.target.value; });
    for (const camera of this.cameras) camera.img.addEventListener("error", () => camera.figure.classList.add("broken"));
    for (const box of all("[data-look]", this.section)) box.addEventListener("change", () => this.section.classList.toggle(`hide-${box.dataset.look}`, !box.checked));
    one(".split", this.section)?.addEventListener("click", () => this.split());
    for (const chart of all(".chart, .strip", this.section)) chart.addEventListener("pointerdown", (event) => {
      const bounds = chart.getBoundingClientRect();
      this.pause();
      this.show(this.start + (event.clientX - bounds.left) / bounds.width * (this.stop - this.start));
    });
    this.chunk(this.second(this.at));
    this.overlayStill();
  }

  // What plays -----------------------------------------------------------------------------------------------------
  second(time) { return Math.max(0, Math.min(Math.floor(time - this.start + 1e-6), Math.ceil(this.stop - this.start) - 1)); }
  chunk(k) {
    if (k < 0 || this.start + k >= this.stop) return null;
    if (!this.chunks.has(k)) {
      const from = this.start + k, to = Math.min(from + 1, this.stop + 0.01);
      const slot = { ready: null };
      slot.promise = this.load(from, to).then((chunk) => { slot.ready = chunk; }).catch((error) => { slot.error = error; });
      this.chunks.set(k, slot);
      if (this.chunks.size > HELD) this.forget(k);
    }
    return this.chunks.get(k);
  }
  forget(k) {
    const far = [...this.chunks.keys()].sort((a, b) => Math.abs(b - k) - Math.abs(a - k))[0];
    for (const picture of this.chunks.get(far).ready?.pictures ?? []) picture.bitmap?.then((bitmap) => bitmap?.close());
    this.chunks.delete(far);
  }
  async load(from, to) {
    const query = new URLSearchParams({ start: from.toFixed(3), stop: to.toFixed(3), at: this.at.toFixed(3), v: this.part });
    if (this.truth) query.set("truth", "1");
    const answer = await fetch(`/play/${this.drive}?${query}`);
    if (!answer.ok) throw new Error(await answer.text());
    const data = await answer.arrayBuffer(), size = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, size)));
    let begin = 4 + size;
    for (const picture of head.pictures) { picture.data = new Uint8Array(data, begin, picture.bytes); begin += picture.bytes; }
    head.of = new Map();
    for (const picture of head.pictures) { if (!head.of.has(picture.camera)) head.of.set(picture.camera, []); head.of.get(picture.camera).push(picture); }
    return head;
  }
  decoded(picture) {
    picture.bitmap ??= createImageBitmap(new Blob([picture.data])).then((bitmap) => { picture.ready = bitmap; return bitmap; }).catch(() => null);
    return picture.bitmap;
  }

  // Showing --------------------------------------------------------------------------------------------------------
  /** Show the drive at a time; false where what is needed is not here yet. */
  show(time) {
    this.time = Math.min(Math.max(time, this.start), this.stop);
    this.moved = true;
    this.line();
    const slot = this.chunk(this.second(this.time));
    if (!slot) return true;
    if (!slot.ready) {
      this.section.classList.add("waiting");
      if (!slot.error) slot.promise.then(() => { if (!this.playing) this.show(this.time); });
      return Boolean(slot.error);
    }
    this.section.classList.remove("waiting");
    this.above(slot.ready);
    return this.seen(slot.ready);
  }
  above(chunk) {
    const frame = latest(chunk.frames, this.time) ?? chunk.frames[0];
    if (!frame || frame === this.frame) return;
    this.frame = frame;
    for (const bev of this.bevs) {
      bev.classList.add("plays");
      const layer = one(".then", bev);
      layer.classList.add("on");
      layer.innerHTML = frame.above;
      one(".ground", bev).setAttribute("transform", frame.ground);
    }
    for (const camera of this.cameras) camera.overlay.innerHTML = frame.cameras[camera.index] ?? "";
  }
  overlayStill() {
    const slot = this.chunk(this.second(this.at));
    slot?.promise.then(() => {
      if (this.moved || !slot.ready) return;
      const frame = latest(slot.ready.frames, this.at + 0.05) ?? slot.ready.frames[0];
      for (const camera of this.cameras) camera.overlay.innerHTML = frame?.cameras[camera.index] ?? "";
    });
  }
  seen(chunk) {
    let here = true;
    for (const camera of this.cameras) {
      const pictures = chunk.of.get(camera.index) ?? [], index = lastIndex(pictures, this.time);
      if (index < 0) continue;
      for (const coming of pictures.slice(index, index + DECODED)) this.decoded(coming);
      const picture = pictures[index];
      if (picture === camera.shown) continue;
      if (!picture.ready) { here = false; picture.bitmap.then(() => { if (!this.playing) this.seen(chunk); }); continue; }
      if (camera.canvas.hidden) { camera.canvas.width = picture.ready.width; camera.canvas.height = picture.ready.height; camera.canvas.hidden = false; camera.img.hidden = true; }
      camera.canvas.getContext("2d").drawImage(picture.ready, 0, 0);
      camera.shown = picture;
      camera.drawn += 1;
    }
    return here;
  }
  line() {
    const share = (this.time - this.start) / Math.max(this.stop - this.start, 1e-9);
    for (const line of all(".when", this.section)) { line.setAttribute("x1", `${100 * share}%`); line.setAttribute("x2", `${100 * share}%`); }
    this.slider.value = this.time;
    this.output.textContent = `${this.time.toFixed(1)} s`;
    const tenth = Math.round(this.time * 10);
    if (tenth === this.told) return;
    this.told = tenth;
    for (const signal of all(".signal[data-low]", this.section)) for (const value of all("b", signal)) value.textContent = valueAt(signal, value.className, share);
  }

  // Time -----------------------------------------------------------------------------------------------------------
  toggle() { if (this.playing) this.pause(); else this.play(); }
  play() {
    if (this.time >= this.stop - 0.05 || !this.moved) this.time = this.start;
    this.button.textContent = "Pause";
    let before = null;
    const tick = (now) => {
      const passed = before === null ? 0 : Math.min((now - before) / 1000, 0.25);
      before = now;
      const wanted = this.time + (this.stalled ? 0 : passed * this.speed);
      if (wanted >= this.stop) { this.show(this.stop); this.pause(); return; }
      const slot = this.chunk(this.second(wanted));
      this.stalled = Boolean(slot && !slot.ready && !slot.error);
      this.show(wanted);
      for (let k = 1; k <= AHEAD; k++) this.ahead(this.second(wanted) + k);
      this.playing = requestAnimationFrame(tick);
    };
    this.playing = requestAnimationFrame(tick);
  }
  ahead(k) {
    const slot = this.chunk(k);
    if (slot?.ready && !slot.begun) { slot.begun = true; for (const camera of this.cameras) for (const picture of (slot.ready.of.get(camera.index) ?? []).slice(0, DECODED)) this.decoded(picture); }
  }
  pause() { cancelAnimationFrame(this.playing); this.playing = null; this.button.textContent = "Play"; }
  step(by) { this.pause(); this.show(this.time + by); }

  // Two models side by side: the picture from above once for each, with only its own plan ------------------------------
  split() {
    const frame = one(".bevs", this.section), button = one(".split", this.section), first = this.bevs[0];
    if (!first) return;
    const looks = all("[data-look]", this.section);
    if (this.bevs.length > 1) {
      this.bevs.slice(1).forEach((bev) => bev.closest("figure").remove());
      const only = first.closest("figure");
      first.classList.remove(...looks.map((box) => `only-${box.dataset.look}`));
      frame.replaceChildren(first);
      only.remove();
      this.bevs = [first];
    } else {
      const pictures = looks.map((_, i) => i ? first.cloneNode(true) : first);
      const figures = looks.map((box, i) => {
        const figure = document.createElement("figure"), caption = document.createElement("figcaption"), bev = pictures[i];
        bev.classList.add(`only-${box.dataset.look}`);
        caption.textContent = box.closest("label").textContent.trim();
        figure.append(bev, caption);
        return figure;
      });
      frame.replaceChildren(...figures);
      this.bevs = all(".bev", frame);
    }
    button.setAttribute("aria-pressed", this.bevs.length > 1);
  }
  key(event) {
    const step = event.shiftKey ? 1 : 0.1;
    const does = {
      " ": () => this.toggle(), ArrowLeft: () => this.step(-step), ArrowRight: () => this.step(step), Home: () => this.step(-1e9), End: () => this.step(1e9), s: () => this.split(),
      1: () => this.flip("p1"), 2: () => this.flip("p2"), 3: () => this.flip("p3"), 4: () => this.flip("p4"),
    }[event.key];
    if (does) { event.preventDefault(); does(); }
    return Boolean(does);
  }
  flip(look) { one(`[data-look=${look}]`, this.section)?.click(); }
  close() { this.pause(); for (const k of [...this.chunks.keys()]) this.forget(k); }
}

/** The last of some rows that is not later than a time. */
function lastIndex(rows, time) { let index = -1; while (index + 1 < rows.length && rows[index + 1].s <= time + 1e-3) index++; return index; }
function latest(rows, time) { return rows[lastIndex(rows, time)]; }

function valueAt(signal, look, share) {
  const path = one(`path[class="${look}"]`, signal);
  if (!path) return "–";
  path.points ??= (path.getAttribute("d").match(/[^ML]+/g) || []).map((text) => text.split(" ").map(Number));
  const { low, high, places } = signal.dataset, near = path.points.reduce((best, next) => Math.abs(next[0] - 1000 * share) < Math.abs(best[0] - 1000 * share) ? next : best, [Infinity, 0]);
  return Math.abs(near[0] - 1000 * share) > 20 ? "–" : (+low + (90 - near[1]) / 80 * (high - low)).toFixed(places).replace(/^-(?=[0.]*$)/, "").replace("-", "−");
}

let player = one(".player") ? new Player(one(".player")) : null;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || palette.open || typing(event)) return;
  const control = event.target.closest("button, summary, a, input[type=checkbox]");
  if (!player || (event.key === " " && control)) return;
  if (player.key(event)) return;
  const link = { "[": "a[rel=prev]", "]": "a[rel=next]", x: "a.truth" }[event.key];
  if (link) one(link)?.click();
});
