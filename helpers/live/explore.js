// Live figures on the site. Each <figure class="live"> holds its pictures (SVG), its result, its
// words, its caption and, as JSON, what changes from position to position. This script adds the
// controls and sets the attributes: nothing is computed here, and nothing is fetched. Without it the
// figure is a still. The data are written by _host_site.py and _svg_frames.py, beside this file;
// grip.js and menu.js, which come before it, put what they add to a figure into `liveExtras`.
"use strict";

(() => {
  const STEP_MS = 160; // of play: slow enough to see each measured position
  const SPEAK_MS = 600; // after the last move, so that a screen reader is not interrupted
  const AGAIN_MS = 50; // for a screen reader to see that the last words are gone
  const LATE_MS = 500; // after all has arrived, for a line that still breaks anew
  const KEEP_MS = 400; // after the last move: browsers limit how often the history may be written
  const MOST_BUTTONS = 6; // more options than that are a list
  const MOST_HEIGHT = 0.16; // of the window, for a figure's buttons: taller ones are lists
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

  // A text that is plain at one position may hold a formula, in tspans, at another.
  function write(node, text) {
    if (!node.firstElementChild) node.textContent = text;
    else if (node.firstChild.nodeType === Node.TEXT_NODE) node.firstChild.data = text;
    else node.prepend(text);
  }

  function setSlot(slot, position) {
    const index = slot.column[position];
    if (index === slot.shown) return;
    slot.shown = index;
    const value = slot.values[index];
    if (slot.attribute === "#text") write(slot.node, value ?? "");
    else if (slot.attribute === "#inner") slot.node.innerHTML = value;
    else if (value === null) slot.node.removeAttribute(slot.attribute);
    else slot.node.setAttribute(slot.attribute, value);
  }

  function show(figure) {
    const position = figure.knobs.reduce((sum, knob) => sum * knob.values.length + knob.at, 0);
    for (const slot of figure.slots) setSlot(slot, position);
    const [result, ...words] = figure.data.words[position].split("\n").filter(Boolean);
    say(figure.result, (figure.waits && figure.invitation) || result || "");
    words.forEach((line, i) => say(figure.words.children[i] ?? figure.words.appendChild(make("p")), line));
    while (figure.words.children.length > words.length) figure.words.lastChild.remove();
    figure.root.dataset.position = position;
    for (const watch of figure.watchers) watch(position);
    if (figure.ready) { speakLater(figure); keepLater(); }
  }

  // Emptied first: the same words again are no change, and would be silent.
  function speak(figure, text) {
    figure.voice.textContent = "";
    setTimeout(() => { figure.voice.textContent = text; }, AGAIN_MS);
  }

  // Sentences come as HTML, for their subscripts and for what lights a curve.
  function say(node, line) {
    if (node.said === line) return;
    node.said = line;
    node.innerHTML = line;
  }

  // One voice: neither the result nor a value is announced by itself, so a sentence is heard once.
  function speakLater(figure) {
    clearTimeout(figure.speaking);
    if (figure.waits) return;
    figure.speaking = setTimeout(() => speak(figure,
      [figure.result, ...figure.words.children].map((p) => p.textContent).join(" ")), SPEAK_MS);
  }

  // Where each knob stands, as indices into its values, in the order of the knobs.
  function placesOf(figure) { return figure.knobs.map((knob) => knob.at); }

  function turn(figure, places) {
    figure.knobs.forEach((knob, i) => {
      knob.at = Math.max(0, Math.min(knob.values.length - 1, places[i]));
      knob.reflect();
    });
    show(figure);
  }

  // A reader's own move, which ends a play.
  function move(figure, knob, index) {
    stop(figure);
    turn(figure, figure.knobs.map((each) => (each === knob ? index : each.at)));
  }

  // ---- controls -------------------------------------------------------------------------------

  function slider(figure, knob) {
    const id = `${figure.root.id}-${knob.name}`;
    const value = make("output", { for: id, class: "live-value", "aria-live": "off" });
    const input = make("input", { type: "range", id, min: 0, max: knob.values.length - 1, step: 1,
      autocomplete: "off", oninput: () => move(figure, knob, Number(input.value)) });
    knob.control = () => input;
    knob.reflect = () => {
      input.value = knob.at;
      input.style.setProperty("--fill", `${(100 * knob.at) / (knob.values.length - 1)}%`);
      input.setAttribute("aria-valuetext", knob.texts[knob.at]);
      value.textContent = knob.texts[knob.at];
    };
    value.style.minWidth = `${Math.max(...knob.texts.map((text) => text.length))}ch`; // the track stays
    return make("div", { class: "live-knob" },
      make("span", { class: "live-reading", translate: "no" },
        make("label", { for: id, class: "live-label" }, knob.label), value), input);
  }

  function buttons(figure, knob) {
    const group = `${figure.root.id}-${knob.name}`;
    const inputs = knob.texts.map((_, i) => make("input", { type: "radio", name: group,
      id: `${group}-${i}`, autocomplete: "off", onchange: () => move(figure, knob, i) }));
    knob.control = () => inputs[knob.at];
    knob.reflect = () => inputs.forEach((input, i) => { input.checked = i === knob.at; });
    const options = knob.texts.flatMap((text, i) =>
      [inputs[i], make("label", { for: `${group}-${i}` }, text)]);
    return make("fieldset", { class: "live-knob live-choice" },
      make("legend", { class: "live-label" }, knob.label), make("div", {}, ...options));
  }

  function list(figure, knob) {
    const id = `${figure.root.id}-${knob.name}`;
    const select = make("select", { id, autocomplete: "off",
      onchange: () => move(figure, knob, select.selectedIndex) },
    ...knob.texts.map((text) => make("option", {}, text)));
    knob.control = () => select;
    knob.reflect = () => { select.selectedIndex = knob.at; };
    return make("div", { class: "live-knob live-list" },
      make("label", { for: id, class: "live-label" }, knob.label), select);
  }

  function control(figure, knob) {
    if (knob.kind === "range") return slider(figure, knob);
    return (knob.texts.length > MOST_BUTTONS ? list : buttons)(figure, knob);
  }

  function actions(figure) {
    const bar = make("div", { class: "live-actions" });
    if (figure.knobs.some((knob) => knob.kind === "range") && !calm.matches) {
      figure.play = iconButton("play", "Play", () => (figure.timer ? stop : play)(figure));
      bar.append(figure.play);
    }
    bar.append(iconButton("reset", "Back to the start", () => reset(figure)));
    return bar;
  }

  function reset(figure) {
    stop(figure);
    turn(figure, figure.knobs.map((knob) => knob.start));
  }

  // Play walks the first slider to its end and back, and stops where it began.
  function play(figure) {
    const first = figure.knobs.findIndex((knob) => knob.kind === "range");
    const { at, values } = figure.knobs[first];
    const path = [...values.keys()];
    const steps = [...path.slice(at + 1), ...path.slice(0, -1).reverse(), ...path.slice(1, at + 1)];
    name(figure.play, "Pause");
    speak(figure, "Playing");
    figure.timer = setInterval(() => {
      if (!steps.length) return stop(figure);
      const next = steps.shift();
      turn(figure, placesOf(figure).map((at, i) => (i === first ? next : at)));
    }, STEP_MS);
  }

  function stop(figure) {
    clearInterval(figure.timer);
    figure.timer = null;
    if (figure.play) name(figure.play, "Play");
  }

  // The button that plays and pauses: its picture, its name and the hint of a pointer.
  function name(button, label) {
    button.classList.toggle("live-playing", label === "Pause");
    for (const key of ["aria-label", "title"]) button.setAttribute(key, label);
  }

  // ---- addresses: #needle:alpha=2.5&layer=theta1 ----------------------------------------------

  function address(figure) {
    const pairs = figure.knobs.map((knob) =>
      `${knob.name}=${encodeURIComponent(knob.values[knob.at])}`);
    return `#${figure.root.id}:${pairs.join("&")}`;
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
    stop(figure);
    if (query) figure.uncover?.(); // grip.js
    turn(figure, figure.knobs.map((knob) =>
      (wanted.has(knob.name) ? nearest(knob, wanted.get(knob.name)) : knob.at)));
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
    const at = Object.fromEntries([...live].map(([id, figure]) => [id, placesOf(figure)]));
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
      turn(figure, at);
      clearTimeout(figure.speaking); // it stands as the reader left it: nothing is new
    }
    hold(() => window.scrollTo({ top: scroll, behavior: "instant" }));
  }

  function arrive() {
    if (history.state?.live) return restore(history.state);
    followAddress();
    keepLater();
  }

  // WebKit shows a page that comes back as it was left, then resets controls without completion.
  function reflectAgain({ persisted }) {
    const all = persisted ? [...live.values()].flatMap((figure) => figure.knobs) : [];
    for (const ms of [0, 300]) setTimeout(() => all.forEach((knob) => knob.reflect()), ms);
  }

  // A link to the place in the address bar changes no address, and no event would tell.
  function followAgain(event) {
    const link = event.target.closest?.("a[href*='#']");
    if (link && link.href === location.href) followAddress();
  }

  // ---- start ----------------------------------------------------------------------------------

  function wake(root) {
    const data = JSON.parse(root.querySelector(".live-data").textContent);
    const pictures = [...root.querySelectorAll(".live-panel > svg")];
    const figure = {
      root, data, pictures, watchers: [],
      bar: root.querySelector(".live-bar"), result: root.querySelector(".live-result"),
      words: root.querySelector(".live-words"),
      slots: pictures.flatMap((svg, i) => slotsOf(svg, data.panels[i])),
      knobs: data.knobs.map((knob) => ({ ...knob, at: knob.start })),
      voice: make("div", { class: "live-voice", role: "status", "aria-live": "polite" }),
    };
    figure.actions = actions(figure);
    fillBar(figure);
    root.append(figure.voice);
    const parts = { make, iconButton, show, stop, speak, turn, placesOf, address, keep };
    for (const add of window.liveExtras ?? []) add(figure, parts);
    reset(figure);
    figure.ready = true;
    live.set(root.id, figure);
  }

  // Choices first, then sliders; the order of positions is that of the data.
  function fillBar(figure) {
    const isRange = (knob) => Number(knob.kind === "range");
    const ordered = [...figure.knobs].sort((a, b) => isRange(a) - isRange(b));
    figure.bar.setAttribute("role", "group");
    figure.bar.setAttribute("aria-label", "Controls of the figure");
    const controls = ordered.map((knob) => control(figure, knob));
    figure.bar.prepend(...controls, figure.actions);
    const buttoned = controls.filter((node) => node.matches(".live-choice"));
    const height = buttoned.reduce((sum, node) => sum + node.offsetHeight, 0);
    if (height > MOST_HEIGHT * window.innerHeight)
      for (const node of buttoned) node.replaceWith(list(figure, ordered[controls.indexOf(node)]));
  }

  function start() {
    for (const data of document.querySelectorAll("figure.live > .live-data")) wake(data.parentNode);
    arrive();
    window.addEventListener("popstate", arrive);
    window.addEventListener("hashchange", () => { if (!history.state?.live) arrive(); });
    window.addEventListener("pagehide", () => keep());
    window.addEventListener("pageshow", reflectAgain);
    window.addEventListener("scroll", keepLater, { passive: true });
    document.addEventListener("click", followAgain);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
