// The queue: one key each. The next clip is on the page before it is asked for, so that a key moves at once; what was
// said is acknowledged by the server, and a clip whose review was refused comes back.
"use strict";
const queue = one(".queue");
if (queue) {
  const trigger = queue.dataset.trigger, saved = one(".saved", queue), place = one("#clip"), end = one(".end", queue), note = one(".remark", queue);
  const keys = Object.fromEntries(all("[data-verdict]", queue).map((button) => [button.getAttribute("aria-keyshortcuts"), button.dataset.verdict]));
  let next = null, sent = Promise.resolve();

  const article = () => one("article", place);
  const parsed = (text) => new DOMParser().parseFromString(text, "text/html").querySelector("article");
  const json = { accept: "application/json" };

  /** Fetch the clip to come and its pictures. */
  async function preload() {
    const after = article()?.dataset.clip ?? "";
    const answer = await fetch(`/review/next?${new URLSearchParams({ trigger, after })}`);
    if (answer.status !== 200) return null;
    const coming = document.adoptNode(parsed(await answer.text()));
    const ready = { article: coming, player: one(".player", coming) ? new Player(one(".player", coming)) : null };
    await Promise.all(all("img", coming).map((image) => image.decode().catch(() => null)));
    return ready;
  }
  function prepare() { next = preload(); next.then((ready) => { queue.dataset.ready = ready ? ready.article.dataset.clip : "none"; }); queue.dataset.ready = ""; }

  function put(ready) {
    player?.close();
    player = null;
    end.hidden = Boolean(ready);
    place.replaceChildren(...(ready ? [ready.article] : []));
    if (ready) { player = ready.player; scrollTo(0, 0); }
    note.value = "";
  }
  function tell(text, alarm = false) { saved.textContent = text; saved.classList.toggle("alarm", alarm); }
  function counted(told) {
    one("[data-left]", queue).textContent = told.left;
    for (const [verdict, count] of Object.entries(told.verdicts)) one(`[data-count="${verdict}"]`, queue).textContent = count;
    const body = one(".precision tbody", queue);
    body?.replaceChildren(...told.precision.map(row));
  }
  function row(share) {
    const tr = document.createElement("tr"), svg = "http://www.w3.org/2000/svg", drawn = document.createElementNS(svg, "svg");
    const shape = (name, attributes) => { const made = document.createElementNS(svg, name); for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value); drawn.append(made); };
    drawn.setAttribute("class", "share");
    shape("rect", { class: "track", width: "100%", y: 5, height: 6, rx: 3 });
    shape("rect", { class: "span", x: `${100 * share.low}%`, width: `${100 * (share.high - share.low)}%`, y: 5, height: 6, rx: 3 });
    shape("circle", { class: "mean", cx: `${100 * share.value}%`, cy: 8, r: 4 });
    for (const content of [share.trigger, drawn, share.right, share.of]) { const td = document.createElement("td"); td.append(content); tr.append(td); }
    tr.children[1].className = "bar";
    return tr;
  }
  async function post(address, fields) {
    const answer = await fetch(address, { method: "POST", body: new URLSearchParams(fields), headers: json });
    const told = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(told.error), { refused: answer.status });
    return told;
  }
  /** Send until an answer comes: the key makes sure that it counts once. */
  async function surely(address, fields) {
    for (let attempt = 0; ; attempt++) {
      try { return await post(address, fields); }
      catch (error) { if (error.refused || attempt > 4) throw error; tell("No answer yet; sending again …"); await new Promise((wait) => setTimeout(wait, 300 * 2 ** attempt)); }
    }
  }

  let moving = false;
  async function say(verdict) {
    const here = article();
    if (!here || moving) return;
    moving = true;
    const begun = performance.now(), { clip, saw } = here.dataset, words = verdict.replace("_", " ");
    const fields = { clip, saw, verdict, note: note.value, trigger, key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}` };
    const answer = surely("/review", fields);
    one(`[data-verdict="${verdict}"]`, queue).classList.add("flash");
    setTimeout(() => one(`[data-verdict="${verdict}"]`, queue).classList.remove("flash"), 250);
    put(await next);
    queue.dataset.moved = (performance.now() - begun).toFixed(1);
    moving = false;
    sent = answer.then((told) => { counted(told); tell(`Saved: ${words}.`); queue.dataset.saved = String(1 + +(queue.dataset.saved ?? 0)); prepare(); },
      async (error) => { tell(`Not saved: ${error.message}`, true); await bring(clip); });
  }
  async function bring(clip) {
    const answer = await fetch(`/review/clip?${new URLSearchParams({ id: clip, trigger })}`), coming = document.adoptNode(parsed(await answer.text()));
    put({ article: coming, player: one(".player", coming) ? new Player(one(".player", coming)) : null });
    prepare();
  }
  async function undo() {
    await sent;
    try {
      const told = await post("/review/undo", { trigger });
      counted(told);
      if (!told.undone) { tell("There is nothing of yours to take back."); return; }
      await bring(told.undone.clip);
      tell(`Taken back: ${told.undone.verdict.replace("_", " ")}.`);
      queue.dataset.undone = String(1 + +(queue.dataset.undone ?? 0));
    } catch (error) { tell(`Not taken back: ${error.message}`, true); }
  }
  async function later() { const ready = await next; if (!ready) { tell("There is no other clip."); return; } put(ready); prepare(); }

  for (const button of all("[data-verdict]", queue)) button.addEventListener("click", () => say(button.dataset.verdict));
  one("[data-undo]", queue).addEventListener("click", undo);
  one("[data-skip]", queue).addEventListener("click", later);
  one("[data-queue]", queue).addEventListener("change", (event) => { location.href = `/review?trigger=${encodeURIComponent(event.target.value)}`; });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || palette.open || typing(event)) return;
    if (keys[event.key]) { event.preventDefault(); say(keys[event.key]); }
    if (event.key === "u") undo();
    if (event.key === "n") later();
    if (event.key === "m") { event.preventDefault(); note.focus(); }
  });
  prepare();
}
