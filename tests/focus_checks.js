// What a browser alone can tell of the focus: where it is, whether a reader can see it.
"use strict";

window.focusChecks = (() => {
  const RING = [undefined, "::after"]; // the node's own, or one that reaches over its line
  const SHARES = [0.1, 0.3, 0.5, 0.7, 0.9]; // of a box, across and down

  // What stands for the focus: a hidden radio button has its label.
  function stand() {
    const node = document.activeElement;
    return node.matches(".live-choice input") ? node.nextElementSibling : node;
  }

  const within = (x, y) => x >= 0 && y >= 0 && x < innerWidth && y < innerHeight;

  // Is any point of its boxes in the window, with nothing of another's on top?
  function seen(node) {
    return [...node.getClientRects()].some((box) => SHARES.some((down) => SHARES.some((across) => {
      const [x, y] = [box.left + box.width * across, box.top + box.height * down];
      const top = within(x, y) && document.elementFromPoint(x, y);
      return top && (node.contains(top) || top.contains(node));
    })));
  }

  // A slider's ring is drawn on its thumb, which no script can ask about.
  function ringed(node) {
    return node.matches("input[type=range]")
      || RING.some((part) => getComputedStyle(node, part).outlineStyle !== "none");
  }

  // Nothing where the focus has left the page, else the faults of where it is.
  function faults() {
    if (document.activeElement === document.body) return null;
    const node = stand();
    const name = `${node.tagName}.${node.className}: ${(node.ariaLabel ?? node.textContent).trim().slice(0, 40)}`;
    return [...(seen(node) ? [] : [`${name} is not seen`]), ...(ringed(node) ? [] : [`${name} has no ring`])];
  }

  return { faults };
})();
