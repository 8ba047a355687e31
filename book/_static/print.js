// On paper nothing can be opened, so answers and solutions are; the code of the figures stays folded.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not(.hide):not([open])")) {
    fold.open = true;
    addEventListener("afterprint", () => { fold.open = false; }, { once: true });
  }
});
