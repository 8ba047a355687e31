// What the one page of tools/paper.py needs before it is printed. The page is arranged once for the
// edition with solutions; the student's is what is left when these are taken away.
window.paper = (() => {
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const make = (tag, text, className = "") =>
    Object.assign(document.createElement(tag), { textContent: text, className });
  const link = (to, text) => Object.assign(make("a", text), { href: `#${to}` });
  const isAnswer = (fold) => fold.querySelector("summary")?.textContent.trim() === "Answer, after you have chosen";

  // Move what answers to the end, each with a link there and, if it has none of its own, one back.
  function move(node, id, words, end) {
    const place = make("p", "", "to-answer");
    place.id = `${id}-asked`;
    place.append(link(id, words));
    node.replaceWith(place);
    node.id = id;
    end.append(node);
    return place.id;
  }

  function answers(page, end) {
    all("details", page).filter(isAnswer).forEach((fold, at) => {
      const box = make("div", "", "answer");
      const back = move(fold, `${page.id}--answer-${at + 1}`, "Answer at the end", end);
      box.id = fold.id;
      const head = make("p", "", "admonition-title");
      head.append(link(back, `Answer to a question of ${page.dataset.title}`));
      box.append(head, ...fold.querySelector(".sd-summary-content").childNodes);
      fold.replaceWith(box);
    });
  }

  const settle = () => document.fonts.ready.then(() => window.MathJax?.startup?.promise);

  function arrange() {
    const end = document.getElementById("solutions");
    for (const fold of all("details.hide")) fold.remove();
    for (const page of all(".page").filter((one) => one !== end)) {
      const chapter = make("section", "");
      page.dataset.title = page.querySelector("h1").firstChild.textContent.trim();
      answers(page, chapter);
      all("div.solution", page).forEach((one, at) => move(one, `${page.id}--solution-${at + 1}`, "Solution at the end", chapter));
      if (chapter.childElementCount) {
        chapter.prepend(make("h2", page.dataset.title));
        end.append(chapter);
      }
    }
    for (const fold of all("details")) fold.open = true;
    document.querySelector(".edition").textContent = "With solutions and answers at the end";
  }

  function withoutAnswers() {
    for (const one of all("#solutions, .to-answer, .contents a[href='#solutions']")) {
      (one.closest(".contents li") ?? one).remove();
    }
    document.querySelector(".edition").textContent = "Without solutions and answers";
  }

  // A link whose place is on no sheet would lead nowhere: its words stay, the link goes.
  function tidy() {
    for (const one of all("a[href^='#']")) {
      const to = one.getAttribute("href").slice(1);
      if (!document.getElementById(to) && !document.getElementById(decodeURIComponent(to))) {
        const page = to.split("--")[0];
        if (document.getElementById(page)) one.setAttribute("href", `#${page}`);
        else one.removeAttribute("href");
      }
    }
  }

  const number = (pages) => {
    for (const row of all(".contents li:not(.part)")) {
      row.querySelector(".at").textContent = pages[row.querySelector("a").getAttribute("href").slice(1)] ?? "";
    }
  };
  return { settle, arrange, withoutAnswers, tidy, number };
})();
