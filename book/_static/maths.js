// Formulas that are right where a browser refuses web fonts, and that survive copying.
(() => {
  const settings = JSON.stringify(window.MathJax ?? {}); // as written; MathJax makes them its own

  // A sandboxed frame, a blocker or a phone's lockdown refuses the fonts of tex-chtml.js, and an L
  // would look like an I. Then tex-svg.js draws every letter: thrice the weight, for those alone.
  async function lettersCame() {
    const faces = await document.fonts.load("1em MJXTEX", "L").catch(() => []);
    await document.fonts.ready;
    const refused = [...document.fonts].filter((face) => /^"?MJX/.test(face.family)
      && face.status === "error");
    return faces.length > 0 && !refused.length;
  }

  addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    const script = document.querySelector("script[src*='tex-chtml.js']");
    if (!script || !document.querySelector("mjx-container") || await lettersCame()) return;
    MathJax.startup.document.state(0, true); // the formulas as they were written
    window.MathJax = JSON.parse(settings);
    const drawn = document.createElement("script");
    drawn.src = script.src.replace("tex-chtml.js", "tex-svg.js");
    document.head.append(drawn);
  });

  function tex(formula) {
    const around = formula.display ? "$$" : "$";
    return around + formula.math.trim() + around;
  }

  // A formula on the page is glyphs without text, so what is copied gets its TeX.
  addEventListener("copy", (event) => {
    const chosen = getSelection();
    if (!chosen.rangeCount || event.target.closest?.("input, textarea")) return;
    for (const formula of window.MathJax?.startup?.document?.math ?? [])
      formula.typesetRoot?.setAttribute("data-tex", tex(formula));
    const copy = document.createElement("div");
    copy.style.cssText = "position: fixed; left: -9999px; white-space: normal;";
    for (let i = 0; i < chosen.rangeCount; i++) copy.append(chosen.getRangeAt(i).cloneContents());
    const formulas = copy.querySelectorAll("mjx-container[data-tex]");
    if (!formulas.length) return;
    for (const formula of formulas) formula.replaceWith(formula.dataset.tex);
    document.body.append(copy); // only what is shown has lines
    event.clipboardData.setData("text/plain", copy.innerText);
    event.clipboardData.setData("text/html", copy.innerHTML);
    copy.remove();
    event.preventDefault();
  });
})();
