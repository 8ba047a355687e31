// What the browser is asked about a page by tests/test_site.py. Each answer is plain data; an empty
// list is no fault.
window.checks = (() => {
  const shown = (node) => node.textContent.trim() && node.getClientRects().length;
  const start = (node) => node.outerHTML.slice(0, 90);

  function luminance([r, g, b]) {
    const linear = [r, g, b].map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }

  const channels = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);

  function ground(node) {
    for (let at = node; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  }

  // WCAG's contrast of a node's text on what lies under it.
  function contrast(node) {
    const style = getComputedStyle(node);
    const ink = luminance(channels(node.closest("svg") ? style.fill : style.color));
    const paper = luminance(ground(node));
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  }

  function isClipped(node) {
    for (let at = node.parentElement; at; at = at.parentElement)
      if (getComputedStyle(at).overflowX !== "visible") return true;
    return false;
  }

  const TEXT = "figure.live svg text, .live-result, .live-words p, .live-label, .live-value, figure.live .live-caption,"
    + " .live-veil p, .live-option,"
    + " .live-choice label, article p, article li, article h1, article h2, article code span";

  return {
    faintText: () => [...document.querySelectorAll(TEXT)].filter(shown)
      .map((node) => [contrast(node), node.textContent.slice(0, 40), start(node)])
      .filter(([ratio]) => ratio < 4.5),

    wordsWithoutDefinition: () => [...document.querySelectorAll("article a[href*='glossary.html#']")]
      .filter((link) => {
        const box = document.getElementById(link.getAttribute("aria-describedby"));
        return !box?.textContent.trim() || shown(box);
      }).map(start),

    imagesWithoutAlt: () => [...document.images].filter((image) => !image.hasAttribute("alt"))
      .map((image) => image.src),

    repeatedIds() {
      const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
      return ids.filter((id, at) => ids.indexOf(id) !== at);
    },

    rawMath: () => [...document.querySelectorAll(".math")]
      .filter((node) => !node.querySelector("mjx-container")).map(start),

    tooWide: () => [...document.querySelectorAll("article *")].filter((node) => {
      const box = node.getBoundingClientRect();
      return box.width && box.right > innerWidth + 1 && !isClipped(node);
    }).map(start),

    smallControls: () => [...document.querySelectorAll(
      ".live-bar input[type=range], .live-choice div label, .live-list select, .live-button, .live-option")]
      .filter((node) => node.getClientRects().length)
      .filter((node) => {
        const box = node.getBoundingClientRect();
        return Math.min(box.width, box.height) < 43.5;
      }).map(start),

    // Picture and words of one figure, as one string each.
    sight: (figure) => [
      [...figure.querySelectorAll(".live-panels svg")].map((svg) => svg.outerHTML).join(),
      [...figure.querySelectorAll(".live-result, .live-words")].map((node) => node.textContent).join(),
    ],

    // Answers every guess, so that nothing is covered.
    guess: () => document.querySelectorAll(".live-option:first-of-type").forEach((one) => one.click()),

    // The first figure's id, and the name and one value of its first slider.
    address(position) {
      const figure = document.querySelector("figure.live:has(input[type=range])");
      const { knobs } = JSON.parse(figure.querySelector(".live-data").textContent);
      const knob = knobs.find((candidate) => candidate.kind === "range");
      return [figure.id, knob.name, Number(knob.values[position])];
    },
  };
})();
