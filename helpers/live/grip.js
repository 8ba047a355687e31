// What a pointer does to a live figure: it drags a point, lights a curve by its words, and guesses
// before a panel is shown. Keyboard and screen reader have the controls of explore.js, which move
// with every handle. A handle knows only measured positions: it takes the nearest one.
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const RADIUS = 22; // CSS pixels at every size of the picture: a finger's
  const INVITATION = "Make your guess, then see.";
  const MEMORY = "guesses"; // on this device alone: figure → the option that was chosen
  const HEARD_MS = 400; // for a screen reader to say where the focus is, before its old place goes
  const FIRST_CONTROL = "input:checked, input[type=range], select";

  // ---- dragging -------------------------------------------------------------------------------

  function addGrips(figure, { turn, placesOf, stop }) {
    const grips = figure.data.grips.map((data) => makeGrip(figure, data));
    figure.watchers.push((position) => grips.forEach((grip) => place(grip, position)));
    for (const { ring, svg } of grips) {
      const near = grips.filter((grip) => grip.svg === svg);
      let held = null; // while it is dragged: the grip, and how far beside its centre it was taken
      ring.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        event.preventDefault();
        ring.setPointerCapture(event.pointerId);
        stop(figure);
        held = take(near, pointIn(svg, event), figure);
        figure.root.classList.add("live-grabbed");
      });
      // Without this a phone scrolls the page and takes the pointer away, whatever touch-action says.
      ring.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
      ring.addEventListener("pointermove", (event) => {
        const places = held && placeNear(figure, held, pointIn(svg, event), placesOf(figure));
        if (places) turn(figure, places);
      });
      ring.addEventListener("lostpointercapture", () => { held = null; });
    }
    if (grips.length) hintWhenSeen(figure.root, grips[0].svg);
  }

  function makeGrip(figure, { panel, moves, spots }) {
    const svg = figure.pictures[panel];
    const ring = document.createElementNS(SVG, "circle");
    ring.setAttribute("class", "live-grip");
    svg.append(ring);
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width)
        ring.setAttribute("r", (RADIUS * svg.viewBox.baseVal.width) / contentRect.width);
    }).observe(svg);
    return { svg, ring, spots, moves: new Set(moves) };
  }

  function place({ ring, spots }, position) {
    ring.setAttribute("cx", spots[position][0]);
    ring.setAttribute("cy", spots[position][1]);
  }

  function pointIn(svg, event) {
    const point = new DOMPoint(event.clientX, event.clientY);
    return point.matrixTransform(svg.getScreenCTM().inverse());
  }

  const gap = ([x, y], point) => Math.hypot(x - point.x, y - point.y);

  // Rings may overlap: the one whose centre is nearest is meant. Its slider gets the focus, so that
  // the arrow keys go on from where the pointer stops.
  function take(grips, point, figure) {
    const at = Number(figure.root.dataset.position);
    const [grip] = [...grips].sort((a, b) => gap(a.spots[at], point) - gap(b.spots[at], point));
    const [x, y] = grip.spots[at];
    const knob = figure.knobs.find(({ name }) => grip.moves.has(name));
    knob.control().focus({ preventScroll: true });
    return { grip, dx: point.x - x, dy: point.y - y };
  }

  // The places nearest to the pointer among those that differ in the grip's own knobs alone; where
  // it stands, if nothing is nearer.
  function placeNear(figure, { grip, dx, dy }, { x, y }, here) {
    const wanted = { x: x - dx, y: y - dy };
    let best = null, least = gap(grip.spots[Number(figure.root.dataset.position)], wanted);
    const walk = (i, places, position) => {
      if (i === figure.knobs.length) {
        const distance = gap(grip.spots[position], wanted);
        if (distance < least) [best, least] = [places, distance];
        return;
      }
      const { name, values } = figure.knobs[i];
      for (const at of grip.moves.has(name) ? values.keys() : [here[i]])
        walk(i + 1, [...places, at], position * values.length + at);
    };
    walk(0, [], 0);
    return best;
  }

  // The ring breathes (book.css) each time its panel comes into view, until it was taken once.
  function hintWhenSeen(root, svg) {
    new IntersectionObserver(([{ isIntersecting }]) => {
      root.classList.toggle("live-seen", isIntersecting);
    }, { threshold: 0.5 }).observe(svg);
  }

  // ---- words and curves light each other --------------------------------------------------------

  function addLight(figure) {
    const { root } = figure;
    const light = (name) => {
      if (name) root.dataset.lit = name;
      else delete root.dataset.lit;
      for (const node of root.querySelectorAll("[data-mark]"))
        node.classList.toggle("live-lit", node.dataset.mark === name);
    };
    const markOf = (event) => event.target.closest("[data-mark]")?.dataset.mark;
    root.addEventListener("pointerover", (event) => {
      if (event.pointerType === "mouse" && markOf(event) !== root.dataset.lit) light(markOf(event));
    });
    root.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && root.dataset.lit) light();
    });
    root.addEventListener("click", (event) => { // a finger's tap, and the next one
      if (event.pointerType === "mouse" || !(markOf(event) || root.dataset.lit)) return;
      light(markOf(event) === root.dataset.lit ? undefined : markOf(event));
    });
    figure.watchers.push(() => { if (root.dataset.lit) light(root.dataset.lit); }); // new words
  }

  // ---- a guess before a panel is shown ----------------------------------------------------------

  // Where a browser refuses to store, a guess lasts as long as its page.
  function remembered() {
    try { return JSON.parse(localStorage.getItem(MEMORY)) ?? {}; } catch { return {}; }
  }

  function remember(id, choice) {
    try {
      localStorage.setItem(MEMORY, JSON.stringify({ ...remembered(), [id]: choice }));
    } catch { /* nothing is kept */ }
  }

  // The panels that everyone sees, by their titles, which are bold.
  function openTitles({ pictures, data: { guess } }) {
    const seen = (part) => part.getAttribute?.("display") !== "none"; // else the same as a formula
    return pictures.filter((_, i) => i !== guess?.panel)
      .map((svg) => svg.querySelector("text[style*='font-weight: 700']")?.childNodes ?? [])
      .map((parts) => [...parts].filter(seen).map((part) => part.textContent).join("").trim())
      .filter(Boolean).map((title) => title.replace(/[^.?!]$/, "$&."));
  }

  // The name of the figure, said each time the focus enters it: a caption would be too long.
  function addName(figure) {
    const titles = openTitles(figure);
    if (titles.length) figure.root.setAttribute("aria-label", titles.join(" "));
  }

  // As little as it takes, and not below the bar, which may lie on the window's foot.
  function comeIntoView(node, bar) {
    node.style.scrollMarginBottom = `${bar.offsetHeight + 16}px`;
    if (node.getClientRects().length) node.scrollIntoView({ block: "nearest" });
  }

  function addGuess(figure, { make, show }) {
    const { root, data: { guess } } = figure;
    if (!guess) return;
    const reply = make("p", { class: "live-reply", role: "status" });
    const shown = make("p", { class: "live-verdict", "aria-hidden": "true" }); // a phone's (book.css)
    const verdict = (choice) => {
      const right = choice === guess.right;
      return [make("b", { "data-answer": right ? "right" : "wrong" }, right ? "Right." : "Not so."),
        ` ${guess.reply}`];
    };
    const choose = (choice, event) => {
      remember(root.id, choice);
      if (!event || event.detail) return open(choice, event);
      figure.bar.querySelector(FIRST_CONTROL).focus({ preventScroll: true }); // by keyboard
      setTimeout(open, HEARD_MS, choice, event);
    };
    const open = (choice, event) => {
      cover(false);
      reply.replaceChildren(...verdict(choice));
      shown.replaceChildren(...verdict(choice));
      figure.pictures[guess.panel].after(shown);
      if (event) comeIntoView(shown, figure.bar);
    };
    const asks = `${root.id}-asks`;
    const veil = make("div", { class: "live-veil", role: "group", "aria-labelledby": asks },
      make("p", { id: asks }, guess.question),
      ...guess.options.map((text, i) => make("button", { type: "button", class: "live-option",
        onclick: (event) => choose(i, event) }, text)));
    const panels = root.querySelector(".live-panels");
    const alt = panels.getAttribute("aria-label");
    const waiting = [...openTitles(figure), "One panel waits for your guess."].join(" ");
    const cover = (covered) => {
      figure.waits = covered;
      root.classList.toggle("live-waits", covered);
      // What is inside an image is silent, and its description would tell the answer.
      panels.setAttribute("role", covered ? "group" : "img");
      panels.setAttribute("aria-label", covered ? waiting : alt);
      if (!covered) veil.remove();
      show(figure);
    };
    const chosen = remembered()[root.id];
    figure.bar.append(reply);
    if (chosen !== undefined) choose(chosen);
    // Who links to a position wants it seen, after a reload as well.
    if (chosen !== undefined || location.hash.startsWith(`#${root.id}:`)) return;
    figure.invitation = INVITATION;
    figure.uncover = () => { if (figure.waits) cover(false); };
    figure.pictures[guess.panel].after(veil);
    cover(true);
    new IntersectionObserver(([{ intersectionRatio }]) => {
      root.classList.toggle("live-asks", intersectionRatio >= 0.5); // a phone's bar gives way
    }, { threshold: 0.5 }).observe(veil);
    addEventListener("beforeprint", figure.uncover);
  }

  (window.liveExtras ??= []).push(addName, addGrips, addLight, addGuess);
})();
