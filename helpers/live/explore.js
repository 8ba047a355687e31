// Live figures on the site. Each <figure class="live"> holds its pictures (SVG), its words, its
// caption and, as JSON, what changes from position to position. This script adds the controls and
// sets the attributes: nothing is computed here, and nothing is fetched. Without it the figure is a
// still. The data are written by host_site.py and svg_frames.py, beside this file.
"use strict";

(() => {
  const STEP_MS = 160; // of play: slow enough to see each measured position
  const SPEAK_MS = 600; // after the last move, so that a screen reader is not interrupted
  const LATE_MS = 500; // after all has arrived, for a line that still breaks anew
  const KEEP_MS = 400; // after the last move: browsers limit how often the history may be written
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const live = new Map(); // figure id → its parts

  // ---- small builders -------------------------------------------------------------------------

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  function iconButton(icon, label, onclick) {
    return make("button", { type: "button", class: `live-button live-${icon}`, title: label,
      "aria-label": label, onclick });
  }

  // ---- showing a position ---------------------------------------------------------------------

  // The nodes are looked up once, before any markup is replaced, so the numbers stay true.
  function slotsOf(svg, panel) {
    const nodes = [svg, ...svg.querySelectorAll("*")];
    return panel.slots.map(([node, attribute, column]) => ({
      node: nodes[node], attribute, column, values: panel.values, shown: -1,
    }));
  }

  function setSlot(slot, position) {
    const index = slot.column[position];
    if (index === slot.shown) return;
    slot.shown = index;
    const value = slot.values[index];
    if (slot.attribute === "#text") slot.node.textContent = value ?? "";
    else if (slot.attribute === "#inner") slot.node.innerHTML = value;
    else if (value === null) slot.node.removeAttribute(slot.attribute);
    else slot.node.setAttribute(slot.attribute, value);
  }

  function positionOf(figure) {
    return figure.knobs.reduce((sum, knob) => sum * knob.values.length + knob.at, 0);
  }

  function show(figure) {
    const position = positionOf(figure);
    for (const slot of figure.slots) setSlot(slot, position);
    const lines = figure.sentences[position].split("\n").filter(Boolean);
    lines.forEach((line, i) => {
      const p = figure.words.children[i] ?? figure.words.appendChild(make("p"));
      if (p.textContent !== line) p.textContent = line;
    });
    while (figure.words.children.length > lines.length) figure.words.lastChild.remove();
    figure.root.dataset.position = position;
    speakLater(figure, lines.join(" "));
    if (figure.ready) keepLater();
  }

  function speakLater(figure, text) {
    clearTimeout(figure.speaking);
    if (!figure.ready) return;
    figure.speaking = setTimeout(() => { figure.voice.textContent = text; }, SPEAK_MS);
  }

  function move(figure, knob, index) {
    knob.at = Math.max(0, Math.min(knob.values.length - 1, index));
    knob.reflect();
    show(figure);
  }

  // ---- controls -------------------------------------------------------------------------------

  function slider(figure, knob) {
    const id = `${figure.root.id}-${knob.name}`;
    const value = make("output", { for: id, class: "live-value" });
    const input = make("input", { type: "range", id, min: 0, max: knob.values.length - 1, step: 1,
      autocomplete: "off", oninput: () => { stop(figure); move(figure, knob, Number(input.value)); } });
    knob.reflect = () => {
      input.value = knob.at;
      input.style.setProperty("--fill", `${(100 * knob.at) / (knob.values.length - 1)}%`);
      input.setAttribute("aria-valuetext", `${knob.label} = ${knob.texts[knob.at]}`);
      value.textContent = knob.texts[knob.at];
    };
    const name = make("label", { for: id, class: "live-label" }, `${knob.label}\u00a0=\u00a0`);
    return make("div", { class: "live-knob" }, make("span",
      { class: "live-reading", translate: "no" }, name, value),
      input);
  }

  function buttons(figure, knob) {
    const group = `${figure.root.id}-${knob.name}`;
    const inputs = knob.texts.map((_, i) => make("input", { type: "radio", name: group,
      id: `${group}-${i}`, autocomplete: "off",
      onchange: () => { stop(figure); move(figure, knob, i); } }));
    knob.reflect = () => inputs.forEach((input, i) => { input.checked = i === knob.at; });
    const options = knob.texts.flatMap((text, i) =>
      [inputs[i], make("label", { for: `${group}-${i}` }, text)]);
    return make("fieldset", { class: "live-knob live-choice" },
      make("legend", { class: "live-label" }, knob.label), make("div", {}, ...options));
  }

  function actions(figure) {
    const bar = make("div", { class: "live-actions" });
    if (figure.knobs.some((knob) => knob.kind === "range") && !calm.matches) {
      figure.play = iconButton("play", "Play", () => (figure.timer ? stop : play)(figure));
      bar.append(figure.play);
    }
    const link = iconButton("link", "Link to this position", () => linkHere(figure, link));
    bar.append(iconButton("reset", "Back to the start", () => reset(figure)), link);
    return bar;
  }

  function reset(figure) {
    stop(figure);
    for (const knob of figure.knobs) { knob.at = knob.start; knob.reflect(); }
    show(figure);
  }

  // Play walks the first slider to its end and back, and stops where it began.
  function play(figure) {
    const knob = figure.knobs.find((candidate) => candidate.kind === "range");
    const last = knob.values.length - 1;
    const path = [...Array(last - knob.at).keys()].map((i) => knob.at + i + 1)
      .concat([...Array(last).keys()].reverse(), [...Array(knob.at).keys()].map((i) => i + 1));
    figure.play.classList.add("live-playing");
    figure.play.setAttribute("aria-label", "Pause");
    figure.timer = setInterval(() => {
      if (path.length) move(figure, knob, path.shift());
      else stop(figure);
    }, STEP_MS);
  }

  function stop(figure) {
    clearInterval(figure.timer);
    figure.timer = null;
    figure.play?.classList.remove("live-playing");
    figure.play?.setAttribute("aria-label", "Play");
  }

  // ---- addresses: #needle:alpha=2.5&layer=theta1 ----------------------------------------------

  function address(figure) {
    const pairs = figure.knobs.map((knob) =>
      `${knob.name}=${encodeURIComponent(knob.values[knob.at])}`);
    return `#${figure.root.id}:${pairs.join("&")}`;
  }

  function linkHere(figure, button) {
    const url = location.href.split("#")[0] + address(figure);
    keep(address(figure));
    navigator.clipboard?.writeText(url).catch(() => {});
    figure.voice.textContent = "The address of this position is in the address bar.";
    button.classList.add("live-done");
    setTimeout(() => button.classList.remove("live-done"), 1200);
  }

  // The nearest position: of a slider in the logarithm where all its values are positive.
  function nearest(knob, wanted) {
    const exact = knob.values.indexOf(wanted);
    if (exact >= 0 || knob.kind === "choice") return exact >= 0 ? exact : knob.at;
    const numbers = knob.values.map(Number);
    const scale = numbers.every((x) => x > 0) ? Math.log : (x) => x;
    const gaps = numbers.map((x) => Math.abs(scale(x) - scale(Number(wanted))));
    const best = Math.min(...gaps);
    return Number.isFinite(best) ? gaps.indexOf(best) : knob.at;
  }

  // "#needle" leads to a figure, "#needle:alpha=2.5" to one of its positions as well.
  function followAddress() {
    const [, id, query] = location.hash.match(/^#([\w-]+)(?::(.+))?$/) ?? [];
    const figure = live.get(id);
    if (!figure) return;
    const wanted = new URLSearchParams(query ?? "");
    for (const knob of figure.knobs) {
      if (wanted.has(knob.name)) knob.at = nearest(knob, wanted.get(knob.name));
      knob.reflect();
    }
    stop(figure);
    show(figure);
    hold(() => figure.root.scrollIntoView({ block: "start", behavior: "instant" }));
  }

  // Fonts and mathematics arrive late and move the page: scroll again, unless the reader has.
  const READER = ["wheel", "touchstart", "pointerdown", "keydown"];
  let held = null; // the scroll that is still ours to repeat

  function release() { held = null; }

  function hold(scroll) {
    held = scroll;
    for (const kind of READER) window.addEventListener(kind, release, { passive: true });
    const again = () => { if (held === scroll) scroll(); };
    again();
    settled(again).then(() => { if (held === scroll) release(); });
  }

  // Calls `again` whenever the page has changed its height, and once when all has arrived.
  async function settled(again) {
    const watch = new ResizeObserver(again);
    watch.observe(document.body);
    if (document.readyState !== "complete")
      await new Promise((done) => window.addEventListener("load", done, { once: true }));
    await Promise.allSettled([document.fonts?.ready, window.MathJax?.startup?.promise]);
    await document.fonts?.ready; // the fonts of the mathematics
    again();
    await new Promise((done) => setTimeout(done, LATE_MS));
    watch.disconnect();
  }

  // ---- history: Back leads to the positions that were left ------------------------------------

  // Each entry of the history keeps where all knobs stood, and how far the page was scrolled.
  function keep(url) {
    clearTimeout(keeping);
    const at = Object.fromEntries([...live].map(([id, { knobs }]) => [id, knobs.map((k) => k.at)]));
    try {
      history.replaceState({ live: at, scroll: window.scrollY }, "", url);
    } catch { /* some hosts refuse it */ }
  }

  let keeping = null;

  function keepLater() {
    clearTimeout(keeping);
    keeping = setTimeout(keep, KEEP_MS);
  }

  function restore({ live: kept, scroll }) {
    clearTimeout(keeping);
    for (const [id, at] of Object.entries(kept)) {
      const figure = live.get(id);
      if (figure?.knobs.length !== at.length) continue; // the page has changed since
      stop(figure);
      figure.knobs.forEach((knob, i) => { knob.at = Math.min(at[i], knob.values.length - 1); });
      for (const knob of figure.knobs) knob.reflect();
      show(figure);
    }
    hold(() => window.scrollTo({ top: scroll, behavior: "instant" }));
  }

  function arrive() {
    if (history.state?.live) return restore(history.state);
    followAddress();
    keepLater();
  }

  // A link to the place in the address bar changes no address, and no event would tell.
  function followAgain(event) {
    const link = event.target.closest?.("a[href*='#']");
    if (link && link.href === location.href) followAddress();
  }

  // ---- start ----------------------------------------------------------------------------------

  function wake(root) {
    const data = JSON.parse(root.querySelector(".live-data").textContent);
    const pictures = [...root.querySelectorAll(".live-panels > svg")];
    const figure = {
      root, sentences: data.words, words: root.querySelector(".live-words"),
      slots: pictures.flatMap((svg, i) => slotsOf(svg, data.panels[i])),
      knobs: data.knobs.map((knob) => ({ ...knob, at: knob.start })),
      voice: make("div", { class: "live-voice", role: "status", "aria-live": "polite" }),
    };
    const controls = make("div", { class: "live-controls", role: "group",
      "aria-label": "Controls of the figure" });
    for (const knob of figure.knobs)
      controls.append((knob.kind === "range" ? slider : buttons)(figure, knob));
    controls.append(actions(figure));
    figure.words.before(controls);
    root.append(figure.voice);
    reset(figure);
    figure.ready = true;
    live.set(root.id, figure);
  }

  function start() {
    for (const data of document.querySelectorAll("figure.live > .live-data")) wake(data.parentNode);
    arrive();
    window.addEventListener("popstate", arrive);
    window.addEventListener("hashchange", () => { if (!history.state?.live) arrive(); });
    window.addEventListener("pagehide", () => keep());
    window.addEventListener("scroll", keepLater, { passive: true });
    document.addEventListener("click", followAgain);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
