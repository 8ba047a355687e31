// Starts a deck: fits each slide, counts votes, and gives the keys of a clicker to the slides even
// while a slider has the focus. A slider keeps up and down.
"use strict";

(() => {
  const HEIGHT = 800, LEAST = 18; // pixels of a slide, and of its type
  const NEXT = ["PageDown", "ArrowRight"], PREVIOUS = ["PageUp", "ArrowLeft"];
  const OWN = ["ArrowUp", "ArrowDown", "Home", "End", " ", "Enter"]; // what a control answers to
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- fitting ----------------------------------------------------------------------------------

  // The words of a figure at their longest, in a node that can stand in for them.
  function longest(words, data) {
    const most = words.cloneNode(true);
    const text = (data.words ?? []).reduce((a, b) => (b.length > a.length ? b : a), "");
    if (data.words) most.innerHTML = text.split("\n").slice(1).map((line) => `<p>${line}</p>`).join("");
    return most;
  }

  // What `measure` finds once the guess is made: no veil, the words `most` and the reply.
  function answered(figure, most, data, measure) {
    const [words, reply, veil] = [".live-words", ".live-reply", ".live-veil"]
      .map((name) => figure.querySelector(name));
    const [said, waits] = [reply?.textContent, figure.classList.contains("live-waits")];
    if (data.guess && reply) reply.textContent = `Not so. ${data.guess.reply}`;
    figure.classList.remove("live-waits");
    veil?.style.setProperty("display", "none");
    words.replaceWith(most);
    const found = measure();
    most.replaceWith(words);
    veil?.style.removeProperty("display");
    figure.classList.toggle("live-waits", waits);
    if (reply) reply.textContent = said;
    return found;
  }

  // Both before and after its guess a figure has to fit: pictures give way first, then type.
  function fit(slide) {
    const room = slide.querySelector(".deck-room"), figure = slide.querySelector("figure.live");
    const data = JSON.parse(figure?.querySelector(".live-data")?.textContent ?? "{}");
    const most = figure && longest(figure.querySelector(".live-words"), data);
    const edge = () => room.getBoundingClientRect().right;
    const cut = () => all("mjx-container", room).some((one) =>
      one.scrollWidth > one.clientWidth + 1 || one.getBoundingClientRect().right > edge());
    const tall = () => room.getBoundingClientRect().height > HEIGHT || cut();
    const high = () => tall() || (figure && answered(figure, most, data, tall));
    const narrow = (from, to) => {
      for (let wide = from; figure && wide >= to && high(); wide -= 30)
        slide.style.setProperty("--deck-panels", `${wide}px`);
    };
    const scaled = figure ?? slide;
    narrow(1060, 910);
    let type = parseFloat(getComputedStyle(scaled).fontSize);
    while (type > LEAST && high()) scaled.style.fontSize = `${--type}px`;
    narrow(910, 610);
  }

  // ---- votes ------------------------------------------------------------------------------------

  function count(vote, answer) {
    const rows = all(".deck-options li", vote), copies = all(".deck-options li", answer);
    const votes = rows.map(() => 0);
    const show = () => votes.forEach((number, k) => {
      for (const row of [rows[k], copies[k]]) {
        const shown = row.querySelector("output");
        if (shown.textContent !== `${number}`) shown.textContent = number; // else all are read aloud
        row.style.setProperty("--share", number / Math.max(1, votes.reduce((a, b) => a + b)));
      }
    });
    rows.forEach((row, k) => row.querySelector("button").addEventListener("click", () => {
      votes[k] += 1;
      show();
    }));
    vote.querySelector(".deck-again").addEventListener("click", () => { votes.fill(0); show(); });
  }

  // ---- keys -------------------------------------------------------------------------------------

  const root = document.documentElement;
  const show = (theme) => { root.dataset.theme = theme; };

  // A deck on paper is light, whatever the room was.
  function print() {
    const theme = root.dataset.theme;
    show("light");
    window.addEventListener("afterprint", () => show(theme), { once: true });
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || Reveal.isOverview()) return;
    const control = document.activeElement.closest("input, select, button");
    const turn = NEXT.includes(event.key) ? "next" : PREVIOUS.includes(event.key) ? "prev" : "";
    if (turn) {
      event.preventDefault();
      event.stopImmediatePropagation();
      control?.blur();
      Reveal[turn]();
    } else if (event.key.toLowerCase() === "d" && control?.tagName !== "SELECT") {
      show(root.dataset.theme === "dark" ? "light" : "dark");
    } else if (control && OWN.includes(event.key)) event.stopPropagation(); // not reveal's
  }

  async function start() {
    await window.MathJax?.startup?.promise;
    all(".slides > section").forEach(fit);
    const answers = all(".deck-answer");
    all(".deck-vote").forEach((vote, k) => count(vote, answers[k]));
    window.addEventListener("keydown", keys, true);
    window.addEventListener("beforeprint", print);
    document.body.classList.remove("deck-waits");
    await Reveal.initialize({ width: 1280, height: 800, margin: 0, center: false, hash: true,
      controls: false, slideNumber: "c/t", transition: "none", pdfSeparateFragments: false,
      pdfMaxPagesPerSlide: 1, plugins: [RevealNotes] });
    document.body.classList.add("deck-ready");
  }

  if (document.readyState === "complete") start();
  else window.addEventListener("load", start);
})();
