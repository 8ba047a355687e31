// What a reader has read, guessed and done: kept in this browser alone, sent nowhere, forgotten at a
// press. A chapter is read when its end was seen; guesses are the figures' own memory.
(() => {
  const READING = "reading"; // {read: {"book/…html": true}, done: {"ex-…": true}}
  const GUESSES = "guesses";
  const CHAPTER = /^\d+\.\d+ /; // how the sidebar names one

  const kept = (key) => {
    try { return JSON.parse(localStorage.getItem(key)) ?? {}; } catch { return {}; }
  };
  const keep = (kind, name, yes) => {
    const all = kept(READING);
    const some = { ...all[kind], [name]: yes };
    if (!yes) delete some[name];
    try {
      localStorage.setItem(READING, JSON.stringify({ ...all, [kind]: some }));
    } catch { /* nothing is kept */ }
    show();
  };
  const make = (tag, attributes, ...content) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...content);
    return element;
  };
  const count = (things, one, many = `${one}s`) => {
    const number = Object.keys(things ?? {}).length;
    return number ? [`${number} ${number === 1 ? one : many}`] : [];
  };

  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href).pathname;
  const nameOf = (url) => decodeURI(new URL(url, location.href).pathname.slice(root.length));
  const here = nameOf(location.href);
  let chapters = []; // the sidebar's links to them
  let panel;
  const facts = make("div", {});
  const said = make("p", {}); // stays, so that a screen reader hears what comes into it
  said.setAttribute("role", "status");

  function show() {
    const { read = {}, done = {} } = kept(READING);
    for (const link of chapters) {
      const seen = nameOf(link.href) in read;
      link.querySelector(".memory-read")?.remove();
      if (!seen) continue;
      const tick = make("span", { className: "memory-read", textContent: " ✓" });
      tick.setAttribute("role", "img");
      tick.setAttribute("aria-label", "read");
      link.append(tick);
    }
    const next = chapters.find((link) => !(nameOf(link.href) in read) && nameOf(link.href) !== here);
    const counts = [...count(read, "chapter read", "chapters read"),
      ...count(kept(GUESSES), "guess made", "guesses made"),
      ...count(done, "exercise done", "exercises done")];
    if (counts.length) said.textContent = "";
    panel.hidden = !counts.length && !said.textContent;
    facts.replaceChildren();
    if (!counts.length) return;
    facts.append(make("p", { className: "memory-title", textContent: "Your reading" }),
      make("p", { textContent: `${counts.join(", ")}.` }));
    if (next && Object.keys(read).length)
      facts.append(make("p", {}, "Go on with ", make("a", { href: next.href,
        textContent: next.firstChild.textContent.trim() }), "."));
    facts.append(make("p", {}, "Kept only in this browser. ",
      make("button", { type: "button", textContent: "Forget it", onclick: forget,
        ariaLabel: "Forget it: what I have read, guessed and done" })));
  }

  function forget() {
    localStorage.removeItem(READING);
    localStorage.removeItem(GUESSES);
    for (const box of document.querySelectorAll(".memory-done input")) box.checked = false;
    said.textContent = "Forgotten.";
    show();
    panel.focus(); // the button that had the focus is gone
  }

  function watchTheEnd() {
    const end = document.querySelector(".prev-next-footer, footer.bd-footer-article");
    if (!end || !chapters.some((link) => nameOf(link.href) === here)) return;
    new IntersectionObserver((entries, watcher) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watcher.disconnect();
      keep("read", here, true);
    }).observe(end);
  }

  function addBoxes() {
    const { done = {} } = kept(READING);
    for (const exercise of document.querySelectorAll(".exercise.admonition[id]")) {
      const box = make("input", { type: "checkbox", checked: exercise.id in done,
        onchange: () => keep("done", exercise.id, box.checked) });
      const number = exercise.querySelector(".caption-number")?.textContent.trim();
      if (number) box.setAttribute("aria-label", `I have done this one: ${number}`);
      exercise.append(make("label", { className: "memory-done" }, box, " I have done this one"));
    }
  }

  // The theme keeps how far the sidebar was scrolled, whichever page is open: its entry comes into view.
  function showEntry() {
    const sidebar = document.querySelector(".bd-sidebar-primary");
    const entry = sidebar?.querySelector(".bd-links a[href='#']")?.getBoundingClientRect();
    const frame = sidebar?.getBoundingClientRect();
    if (!entry?.height || (entry.top >= frame.top && entry.bottom <= frame.bottom)) return;
    sidebar.scrollTop += entry.top - frame.top - (frame.height - entry.height) / 2;
  }

  addEventListener("load", showEntry); // after the theme's own
  addEventListener("DOMContentLoaded", () => {
    const nav = document.querySelector(".bd-sidebar-primary .bd-links");
    if (!nav) return;
    chapters = [...nav.querySelectorAll("a")].filter((a) => CHAPTER.test(a.textContent.trim()));
    panel = make("section", { className: "memory", hidden: true, tabIndex: -1 }, facts, said);
    panel.setAttribute("aria-label", "Your reading");
    nav.after(panel);
    addBoxes();
    show();
    watchTheEnd();
    addEventListener("storage", show); // another tab
    document.addEventListener("click", () => setTimeout(show)); // a guess was made
  });
})();
