// What a reader takes away from a live figure: a link to its position, its picture, its numbers, the
// code that made it, a report of a fault. And, for the keyboard, a short way to the first figure.
"use strict";

(() => {
  const GAP = 20, FOOT = 16; // units between panels, and below them for the source
  const DONE_MS = 1200; // how long the link shows that it is kept
  const INSIDE = "text { fill: var(--ink); stroke: var(--paper); stroke-width: 2.5px; paint-order: stroke; }";
  const plain = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent;
  const cell = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const here = () => (document.querySelector("link[rel=canonical]")?.href ?? location.href).split("#")[0];

  // The panels side by side as a picture that needs no page: the colours are written in.
  function drawing({ root, pictures }, source) {
    const { width, height } = pictures[0].viewBox.baseVal;
    const [wide, high] = [pictures.length * (width + GAP) - GAP, height + FOOT];
    const panels = pictures.map((svg, i) => {
      const copy = svg.cloneNode(true);
      for (const ring of copy.querySelectorAll(".live-grip")) ring.remove();
      for (const [key, value] of Object.entries({ x: i * (width + GAP), width, height }))
        copy.setAttribute(key, value);
      return new XMLSerializer().serializeToString(copy);
    });
    const style = getComputedStyle(root);
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${high}" font-family="sans-serif"
      viewBox="0 0 ${wide} ${high}"><style>${INSIDE}</style><rect width="${wide}" height="${high}"
      fill="var(--paper)"/>${panels.join("")}<text x="4" y="${high - 5}" font-size="5">${
      source.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</text></svg>`
      .replace(/var\(--([\w-]+)\)/g, (_, name) => style.getPropertyValue(`--${name}`).trim());
  }

  async function pixels(svg) {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"),
      { width: 4 * image.width, height: 4 * image.height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => { canvas.toBlob(done); });
  }

  // One row a position: where the knobs stand, and what the figure says there.
  function table({ knobs, data }, source) {
    const positions = knobs.reduce((rows, { values }) =>
      rows.flatMap((row) => values.map((value) => [...row, value])), [[]]);
    const rows = positions.map((row, i) => [...row, ...data.words[i].split("\n").map(plain)]);
    return [[source], [...knobs.map(({ label }) => label), "result", "words"], ...rows]
      .map((row) => row.map(cell).join(",")).join("\r\n");
  }

  // The lines stand folded in the figure's cell, or in one above it.
  function linesOf(root) {
    const find = (cell) => cell?.querySelector("details.hide, .cell_input");
    let cell = root.closest(".cell");
    while (cell && !find(cell)) cell = cell.previousElementSibling;
    return find(cell);
  }

  function addMenu(figure, { make, iconButton, speak, address, keep }) {
    const { root, actions } = figure;
    const link = () => {
      keep(address(figure));
      navigator.clipboard?.writeText(location.href.split("#")[0] + address(figure)).catch(() => {});
      speak(figure, "The address of this position is in the address bar.");
      button.classList.add("live-done");
      setTimeout(() => button.classList.remove("live-done"), DONE_MS);
    };
    const button = iconButton("link", "Link to this position", link);
    const source = () => `${document.title}: ${here()}${address(figure)}`;
    const save = async (kind, content) => {
      const href = URL.createObjectURL(new Blob([await content], { type: kind }));
      make("a", { href, download: `${root.id}.${kind.match(/\w+$/)[0].replace("xml", "svg")}` }).click();
      setTimeout(() => URL.revokeObjectURL(href), DONE_MS);
      speak(figure, "Saved.");
    };
    const lines = linesOf(root);
    const showLines = () => {
      lines.open = true; // if it is a fold
      lines.scrollIntoView({ block: "start" });
      const first = lines.querySelector("summary") ?? Object.assign(lines, { tabIndex: -1 });
      first.focus({ preventScroll: true });
    };
    const issues = document.querySelector("a.btn-source-issues-button")?.href;
    const report = () => {
      const url = new URL(issues);
      url.searchParams.set("title", `Figure ${root.id}: `);
      url.searchParams.set("body", `Seen at ${here()}${address(figure)}\n\n`);
      open(url, "_blank", "noopener");
    };
    const home = document.documentElement.dataset.content_root; // a figure that is alone has none
    const alone = () => { location.href = `${home}figures/${root.id}.html${address(figure)}`; };
    const entries = [
      ["Link to this position", link],
      ["Picture (SVG)", () => save("image/svg+xml", drawing(figure, source()))],
      ["Picture (PNG)", () => save("image/png", pixels(drawing(figure, source())))],
      ["Numbers (CSV)", () => save("text/csv", table(figure, source()))],
      ...(home === undefined ? [] : [["This figure alone", alone]]),
      ...(lines ? [["The code that made it", showLines]] : []),
      ...(issues ? [["Report a fault", report]] : []),
    ];
    const choose = (act) => { menu.open = false; menu.firstChild.focus({ preventScroll: true }); act(); };
    const menu = make("details", { class: "live-menu" },
      make("summary", { class: "live-button live-more", "aria-label": "More", title: "More" }),
      make("div", { class: "live-entries" }, ...entries.map(([text, act]) => make("button",
        { type: "button", onclick: () => choose(act) }, text))));
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.firstChild.focus();
    });
    document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
    actions.append(button, menu);
  }

  function addSkipLink({ root, bar }, { make }) {
    const links = document.querySelector(".skip-link");
    if (!links || links.querySelector(".live-skip")) return; // the first figure has it
    links.prepend(make("a", { href: `#${root.id}`, class: "live-skip", onclick: (event) => {
      event.preventDefault();
      root.scrollIntoView({ block: "start", behavior: "instant" });
      const first = root.querySelector(".live-option") ?? bar.querySelector("input, select");
      first.focus({ preventScroll: true });
    } }, "Skip to the figure"));
  }

  (window.liveExtras ??= []).push(addMenu, addSkipLink);
})();
