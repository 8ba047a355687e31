// What a browser alone can tell of live figures: sizes, edges, labels in one another's way.
"use strict";

window.figureChecks = (() => {
  const TALL = 0.72; // of a text's box: the letters, without the room above and below
  const TOUCH = 1.5; // pixels that two boxes may share
  const figures = () => [...document.querySelectorAll("figure.live")];
  const panels = (figure) => [...figure.querySelectorAll(".live-panel > svg")];
  const seen = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const texts = (svg) => [...svg.querySelectorAll("text")].filter((t) => t.textContent.trim() && seen(t));

  // The size of a text on the screen: that of its font, in units, times the scale of its panel.
  function textSizes() {
    return figures().flatMap((figure) => panels(figure).filter(seen).flatMap((svg) => {
      const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      return texts(svg).map((text) => parseFloat(getComputedStyle(text).fontSize) * scale);
    }));
  }

  // Panels of one row that do not begin at one height.
  function raggedTops() {
    return figures().flatMap((figure) => {
      const boxes = panels(figure).filter(seen).map((svg) => svg.getBoundingClientRect());
      return boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) =>
        Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 20 && Math.abs(a.top - b.top) > 1,
      ).map(() => figure.id));
    });
  }

  function letters(text) {
    const box = text.getBoundingClientRect();
    const turned = box.height > box.width && text.textContent.length > 2;
    const cut = (turned ? box.width : box.height) * (1 - TALL) / 2;
    return { left: box.left + (turned ? cut : 0), right: box.right - (turned ? cut : 0),
      top: box.top + (turned ? 0 : cut), bottom: box.bottom - (turned ? 0 : cut) };
  }

  function meet(a, b) {
    return Math.min(a.right, b.right) - Math.max(a.left, b.left) > TOUCH
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > TOUCH;
  }

  // Labels that lie on one another or leave their panel, as things stand.
  function crowded(figure) {
    return panels(figure).filter(seen).flatMap((svg) => {
      const frame = svg.getBoundingClientRect();
      const all = texts(svg).map((text) => [text.textContent, letters(text)]);
      const out = all.filter(([, b]) => b.left < frame.left - 2 || b.right > frame.right + 2
        || b.top < frame.top - 2 || b.bottom > frame.bottom + 2).map(([words]) => `${words} leaves`);
      return out.concat(all.flatMap(([words, a], i) => all.slice(i + 1)
        .filter(([, b]) => meet(a, b)).map(([other]) => `${words} on ${other}`)));
    });
  }

  // Every value of every knob with the others where they start, and all knobs at their ends.
  function crowdedAnywhere() {
    return figures().flatMap((figure) => {
      const found = new Map();
      const look = () => { for (const fault of crowded(figure)) if (!found.has(fault))
        found.set(fault, `#${figure.id} at ${figure.dataset.position}: ${fault}`); };
      look();
      for (const knob of figure.querySelectorAll("input[type=range], select")) {
        const last = knob.type === "range" ? Number(knob.max) : knob.options.length - 1;
        const from = knob.type === "range" ? knob.value : knob.selectedIndex;
        for (let at = 0; at <= last; at += 1) { set(knob, at); look(); }
        set(knob, from);
      }
      for (const choice of figure.querySelectorAll("input[type=radio]")) { choice.click(); look(); }
      for (const end of ["max", "min"]) {
        for (const knob of figure.querySelectorAll("input[type=range]")) set(knob, knob[end]);
        look();
      }
      return [...found.values()];
    });
  }

  function set(knob, at) {
    if (knob.type === "range") knob.value = at; else knob.selectedIndex = at;
    knob.dispatchEvent(new Event(knob.type === "range" ? "input" : "change", { bubbles: true }));
  }

  // Whether the first figure's knob or handle, and its result, lie on the screen without scrolling. A
  // phone's bar has no result before a guess, and gives way to what is asked.
  function firstScreen() {
    const figure = document.querySelector("figure.live:has(.live-data)");
    const inside = (node) => { const box = node?.getBoundingClientRect();
      return Boolean(box) && box.top >= 0 && box.bottom <= innerHeight && box.height > 0; };
    const hand = [...figure.querySelectorAll(".live-grip, .live-bar input, .live-bar select")];
    const bar = getComputedStyle(figure.querySelector(".live-bar"));
    const gives = figure.matches(".live-waits") && bar.position === "relative";
    hand.push(...figure.querySelectorAll(".live-option"));
    return { hand: hand.some(inside), result: gives || inside(figure.querySelector(".live-result")),
      panel: inside(panels(figure)[0]) };
  }

  // Formulas in a line that are wider than their place: the theme hides what does not fit.
  function cutFormulas() {
    const right = (node) => node.getBoundingClientRect().right;
    return [...document.querySelectorAll("span.math:has(mjx-math)")].filter((span) =>
      span.checkVisibility() && right(span.querySelector("mjx-math")) > right(span) + 3)
      .map((span) => span.querySelector("mjx-math").textContent.slice(0, 40));
  }

  // How far each figure's bar moves while the first slider walks from end to end.
  function hops() {
    return figures().flatMap((figure) => {
      const slider = figure.querySelector(".live-bar input[type=range]");
      if (!slider) return [];
      const heights = new Set();
      for (let at = +slider.min; at <= +slider.max; at += 1) {
        set(slider, at);
        heights.add(Math.round(figure.querySelector(".live-bar").offsetHeight));
      }
      return heights.size > 1 ? [`#${figure.id}: ${[...heights].join(", ")}`] : [];
    });
  }

  return { cutFormulas, hops, textSizes, raggedTops, crowdedAnywhere, firstScreen };
})();
