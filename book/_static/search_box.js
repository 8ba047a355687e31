// While the search box lies over the page, the Tab key stays in it, and Escape closes it and leads
// back to its button. The theme lets the focus out behind the box, where Escape no longer closes it.
addEventListener("keydown", (event) => {
  const box = document.querySelector(".search-button__wrapper.show");
  if (!box || !["Tab", "Escape"].includes(event.key)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (event.key === "Tab") return box.querySelector("input").focus();
  box.classList.remove("show");
  const buttons = [...document.querySelectorAll(".search-button__button")]; // a phone has another one
  buttons.find((button) => button.getClientRects().length).focus();
}, true);
