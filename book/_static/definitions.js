// A glossary link shows its definition on hover and focus (book.css). Escape puts it away until the
// pointer or the focus comes to such a link again.
const away = (yes) => document.documentElement.toggleAttribute("data-no-definition", yes);
addEventListener("keydown", (event) => event.key === "Escape" && away(true));
for (const arrival of ["mouseover", "focusin"])
  addEventListener(arrival, (event) => event.target.closest?.("a[aria-describedby]") && away(false));
