// The button of a fold is named by what is seen on it, "Click to show", and by what it opens; the
// extension that makes it gives all of them one name.
addEventListener("DOMContentLoaded", () => {
  const name = (button) => {
    const title = button.parentNode.textContent.trim().split(" (")[0];
    button.setAttribute("aria-label", `${button.dataset.toggleHint}: ${title}`);
  };
  const watch = new MutationObserver((changes) => changes.forEach(({ target }) => name(target)));
  for (const button of document.querySelectorAll(".toggle-button")) {
    name(button);
    watch.observe(button, { attributeFilter: ["data-toggle-hint"] });
  }
});
