// Starts a deck: fits each slide, counts votes, and gives the keys of a clicker to the slides even
// while a slider has the focus. A slider keeps up and down.
"use strict";

(() => {
  const HEIGHT = 800, LEAST = 18; // pixels of a slide, and of its type
  const NEXT = ["PageDown", "ArrowRight"], PREVIOUS = ["PageUp", "ArrowLeft"];
  const OWN = ["ArrowUp", "ArrowDown", "Home", "End", " ", "Enter"]; // what a control answers to
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // ---- fitting ----------------------------------------------------------------------------------

  // A figure is fitted with the longest words and the reply it may come to show.
  function withMost(figure, measure) {
    const data = JSON.parse(figure.querySelector(".live-data")?.textContent ?? "{}");
    const words = figure.querySelector(".live-words"), reply = figure.querySelector(".live-reply");
    const most = words.cloneNode();
    const longest = (data.words ?? [""]).reduce((a, b) => (b.length > a.length ? b : a));
    most.innerHTML = longest.split("\n").slice(1).map((line) => `<p>${line}</p>`).join("");
    if (!data.words) most.innerHTML = words.innerHTML;
    const [said, waits] = [reply?.textContent, figure.classList.contains("live-waits")];
    if (reply) reply.textContent = `Not so. ${data.guess.reply}`;
    figure.classList.remove("live-waits");
    words.replaceWith(most);
    measure();
    most.replaceWith(words);
    figure.classList.toggle("live-waits", waits);
    if (reply) reply.textContent = said;
  }

  function fit(slide) {
    const room = slide.querySelector(".deck-room"), figure = slide.querySelector("figure.live");
    const high = () => room.getBoundingClientRect().height > HEIGHT;
    const narrow = (from, to) => {
      for (let wide = from; figure && high() && wide >= to; wide -= 30)
        slide.style.setProperty("--deck-panels", `${wide}px`);
    };
    const shrink = () => {
      const scaled = figure ?? slide;
      narrow(1060, 910); // pictures first, then type, then pictures again
      let type = parseFloat(getComputedStyle(scaled).fontSize);
      while (high() && type > LEAST) scaled.style.fontSize = `${--type}px`;
      narrow(910, 610);
    };
    if (figure) withMost(figure, shrink);
    else shrink();
  }

  // ---- votes ------------------------------------------------------------------------------------

  function count(vote, answer) {
    const rows = all(".deck-options li", vote), copies = all(".deck-options li", answer);
    const votes = rows.map(() => 0);
    const show = () => votes.forEach((number, k) => {
      for (const row of [rows[k], copies[k]]) {
        row.querySelector("output").textContent = number;
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

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || Reveal.isOverview()) return;
    const control = document.activeElement.closest("input, select, button");
    const turn = NEXT.includes(event.key) ? "next" : PREVIOUS.includes(event.key) ? "prev" : "";
    if (turn) {
      event.preventDefault();
      event.stopImmediatePropagation();
      control?.blur();
      Reveal[turn]();
    } else if (control && OWN.includes(event.key)) event.stopPropagation(); // not reveal's
  }

  async function start() {
    await window.MathJax?.startup?.promise;
    all(".slides > section").forEach(fit);
    const answers = all(".deck-answer");
    all(".deck-vote").forEach((vote, k) => count(vote, answers[k]));
    window.addEventListener("keydown", keys, true);
    document.body.classList.remove("deck-waits");
    await Reveal.initialize({ width: 1280, height: 800, margin: 0, center: false, hash: true,
      controls: false, slideNumber: "c/t", transition: "none", pdfSeparateFragments: false,
      pdfMaxPagesPerSlide: 1, plugins: [RevealNotes] });
    document.body.classList.add("deck-ready");
  }

  if (document.readyState === "complete") start();
  else window.addEventListener("load", start);
})();
