// The choices of a question answer at once. The list stays a list: each letter becomes a button that
// reaches over its line (predict.css), so that formulas and links in a choice stay what they are.
// Keys and feedback stand behind the list in a <script class="predict">; without JavaScript the
// reader has the list and the fold. One may try as often as one likes; nothing is stored or sent.
(() => {
  const HINT = "Choose a letter to see at once whether it is right.";
  const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

  const make = (tag, className, ...content) => {
    const element = Object.assign(document.createElement(tag), { className });
    element.append(...content);
    return element;
  };

  // The next fold after a question, which holds its answer.
  const foldAfter = (element) => {
    while (element && !element.matches("details")) element = element.nextElementSibling;
    return element;
  };

  const more = (count) => (count === 1 ? " One more is right." : ` ${count} more are right.`);

  // A description is flat text, where a formula would lose its exponents: 10² as "10 2".
  const SPOKEN = {
    msup: ([base, raised]) => (/^\p{L}+$|\d/u.test(raised) ? `${base} to the power ${raised}` : base + raised),
    msubsup: ([base, index, raised]) => SPOKEN.msup([`${base} ${index}`, raised]),
    mfrac: (parts) => parts.join(" over "),
    msqrt: (parts) => `the root of ${parts.join(" ")}`,
    mtr: (cells) => cells.join(", "),
    mtable: (rows) => rows.join("; "),
  };

  function spoken(node) {
    if (node.nodeType === Node.TEXT_NODE) return node.data.replace(/[\u2061-\u2064]/g, "");
    if (node.nodeType !== Node.ELEMENT_NODE) return ""; // a comment
    const formula = node.localName === "mjx-container" && node.querySelector("math");
    const parts = [...(formula || node).childNodes].map(spoken).filter(Boolean);
    if (SPOKEN[node.localName]) return SPOKEN[node.localName](parts);
    return parts.join(formula || node.namespaceURI.endsWith("MathML") ? " " : "");
  }

  async function describeFormulas() {
    await window.MathJax?.startup?.promise;
    for (const text of document.querySelectorAll(".predict-text")) {
      if (!text.querySelector("mjx-container")) continue;
      const words = Object.assign(make("span", "", spoken(text)), { hidden: true, id: `${text.id}-spoken` });
      text.after(words);
      text.previousElementSibling.setAttribute("aria-describedby", words.id);
    }
  }

  function makeChoice(item, name) {
    const row = item.querySelector(":scope > p") ?? item; // in a loose list each item is a paragraph
    const letter = row.querySelector("strong");
    const text = make("span", "predict-text");
    while (letter.nextSibling) text.append(letter.nextSibling);
    const verdict = make("span", "predict-verdict");
    const button = make("button", "predict-letter", letter, verdict);
    const key = letter.textContent.trim().replace(/\.$/, "");
    text.id = `${name}-${key}`;
    button.type = "button";
    button.setAttribute("aria-describedby", text.id);
    button.setAttribute("aria-pressed", "false");
    item.classList.add("predict-choice");
    row.classList.add("predict-row");
    row.replaceChildren(button, text);
    return { key, item, button, verdict };
  }

  function makeQuestion(script, number) {
    const list = script.previousElementSibling;
    if (!list?.matches("ul")) return null;
    const { keys, feedback } = JSON.parse(script.textContent);
    const words = make("p", "predict-words", HINT);
    words.setAttribute("role", "status");
    const choices = [...list.children].map((item) => makeChoice(item, `predict-${number}`));
    const buttons = choices.map((choice) => choice.button);
    const tried = new Set();
    const question = { fold: foldAfter(script), left: keys.length };

    const answer = ({ key, item, verdict }) => {
      const right = keys.includes(key);
      tried.add(key);
      item.dataset.answer = right ? "right" : "wrong";
      verdict.textContent = right ? ", right" : ", not quite";
      question.left = keys.filter((each) => !tried.has(each)).length;
      for (const choice of choices) {
        const found = keys.includes(choice.key) && tried.has(choice.key);
        choice.button.setAttribute("aria-pressed", String(choice.key === key || found));
      }
      const opening = make("b", "", right ? "Right." : "Not quite.");
      words.dataset.answer = item.dataset.answer;
      words.replaceChildren(opening, ` ${feedback[key]}`, right && question.left ? more(question.left) : "");
      if (right) openFold(question.fold);
    };
    for (const choice of choices) choice.button.addEventListener("click", () => answer(choice));
    list.addEventListener("keydown", (event) => {
      const at = buttons.indexOf(event.target);
      if (at < 0 || !(event.key in STEPS) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      buttons[(at + STEPS[event.key] + buttons.length) % buttons.length].focus();
    });
    list.classList.add("predict-choices");
    list.after(words);
    return question;
  }

  let questions = [];

  // A fold that answers two questions opens when both are answered.
  const openFold = (fold) => {
    if (fold && questions.every((each) => each.fold !== fold || each.left === 0)) fold.open = true;
  };

  const start = () => {
    const scripts = [...document.querySelectorAll("script.predict")];
    questions = scripts.map(makeQuestion).filter(Boolean);
  };
  window.addEventListener("load", describeFormulas);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
