// The search page: ranks the book's pages for a query, and shows from each the place that fits best.
// Loaded there alone, after Sphinx's language_data.js (Stemmer, stopwords) and prose.js, which
// tools/search.py writes. Everything is on the page: nothing is asked of a server.
"use strict";

(() => {
  const WORD = /[\p{Letter}\p{Number}]+/gu;
  const SNIPPET = 190; // characters
  const KINDS = { chapter: 1, page: 0.5, list: 0 }; // a list repeats what chapters say: it comes last
  const stemmer = new Stemmer();
  const stems = new Map();

  // British and American spellings are one word: reparameterisation, reparametrization.
  function fold(word) {
    return word.toLowerCase().replace("ε", "eps").normalize("NFD").replace(/\p{Mark}/gu, "")
      .replace(/parameter(?=i[sz])/, "parametr").replace(/(\w{4})is(?=(e[ds]?|ing|ations?)$)/, "$1iz");
  }

  function stem(word) {
    if (!stems.has(word)) stems.set(word, stemmer.stemWord(word));
    return stems.get(word);
  }

  const known = new Map(); // texts that were taken apart

  function wordsOf(text) {
    if (!known.has(text))
      known.set(text, [...text.matchAll(WORD)].map((found) => ({
        word: fold(found[0]), start: found.index, end: found.index + found[0].length })));
    return known.get(text);
  }

  function termsOf(query) {
    const terms = wordsOf(query).map(({ word }) => word);
    const telling = terms.filter((word) => !stopwords.includes(word));
    return telling.length ? telling : terms;
  }

  // How well a word fits a term: exactly, in another form, or as its beginning.
  function fit(term, word) {
    if (word === term) return 1;
    if (stem(word) === stem(term)) return 0.6;
    return term.length > 3 && word.startsWith(term) ? 0.3 : 0;
  }

  // How well each word of a text fits a term, and the whole query from there on.
  function look(terms, text) {
    const words = wordsOf(text);
    const hits = terms.map((term) => words.map((at) => fit(term, at.word)));
    const whole = words.map((_, i) => terms.reduce((least, _term, j) =>
      Math.min(least, hits[j][i + j] ?? 0), 1));
    return { words, whole, best: words.map((_, i) => Math.max(...hits.map((hit) => hit[i]))),
      sums: hits.map((hit) => hit.reduce((sum, one) => sum + one, 0)) };
  }

  const total = (numbers) => numbers.reduce((sum, one) => sum + one, 0);

  // The whole query counts most, then its words apart; the tenth time adds little to the ninth.
  function weigh(...looks) {
    const sums = looks[0].sums.map((_, term) => total(looks.map((seen) => seen.sums[term])));
    const whole = total(looks.map((seen) => total(seen.whole)));
    return 4 * Math.log1p(whole) + Math.log1p(Math.min(...sums)) / sums.length;
  }

  // A definition weighs most, a heading more than text, and what opens the page more than the rest.
  function weighSection({ heading, text, boxes }, i) {
    return weigh(heading) * (i ? 2 : 4) + weigh(text) * (i ? 1 : 2) + weigh(boxes) * 6;
  }

  // Words that the glossary explains lead to the page that it names: all of the word, or a part.
  function definesFor(terms, pages) {
    const found = new Map();
    for (const page of pages)
      for (const [name, path] of Object.entries(page.defines)) {
        const { words, whole } = look(terms, name);
        const share = (Math.max(0, ...whole) * terms.length) / words.length;
        found.set(path, Math.max(found.get(path) ?? 0, share));
        found.set(page.path, Math.max(found.get(page.path) ?? 0, share / 4)); // the entry itself
      }
    return found;
  }

  function rank(query) {
    const terms = termsOf(query);
    if (!terms.length) return [];
    const explains = definesFor(terms, window.bookProse);
    return window.bookProse.map((page) => {
      const looks = page.sections.map(({ heading, text, boxes }) => ({
        heading: look(terms, heading), text: look(terms, text), boxes: look(terms, boxes) }));
      const seen = looks.flatMap(({ heading, text }) => [heading, text]);
      if (!terms.every((_, term) => seen.some(({ sums }) => sums[term] > 0))) return null;
      const marks = looks.map(weighSection);
      const place = page.sections[marks.indexOf(Math.max(...marks))];
      const score = (total(marks) / Math.sqrt(marks.length) + weigh(...seen)) * KINDS[page.kind]
        + 40 * (explains.get(page.path) ?? 0);
      return { page, place, score, last: page.kind === "list" };
    }).filter(Boolean).sort((a, b) => a.last - b.last || b.score - a.score);
  }

  // ---- what is shown --------------------------------------------------------------------------

  function make(tag, attributes, ...children) {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  }

  // The stretch of the text where most of the query stands together, its words marked.
  function snippet(terms, text) {
    const { words, whole, best } = look(terms, text);
    const marks = words.map((at, i) => ({ ...at, worth: best[i] + 3 * whole[i] }));
    const worth = (from) => total(marks.filter(({ start }) =>
      start >= from && start < from + SNIPPET - 40).map((mark) => mark.worth));
    const hits = marks.filter(({ worth }) => worth > 0);
    const first = hits.reduce((top, hit) => (worth(hit.start) > worth(top) ? hit.start : top),
      hits[0]?.start ?? 0);
    const from = sentenceBefore(text, first);
    const to = text.length - from <= SNIPPET ? text.length : text.lastIndexOf(" ", from + SNIPPET);
    const line = make("p", { className: "search-snippet" }, from > 0 ? "… " : "");
    let at = from;
    for (const { start, end } of hits.filter((hit) => hit.start >= from && hit.end <= to)) {
      line.append(text.slice(at, start), make("mark", {}, text.slice(start, end)));
      at = end;
    }
    line.append(text.slice(at, to), to < text.length ? " …" : "");
    return line;
  }

  // Begins with the sentence if it began not long before, else with a word.
  function sentenceBefore(text, first) {
    const near = Math.max(0, first - 90);
    const ends = [...text.slice(near, first).matchAll(/[.?!:] /g)];
    if (near === 0 && !ends.length) return 0;
    if (ends.length) return near + ends[0].index + 2;
    return text.lastIndexOf(" ", first - 40) + 1;
  }

  function item(terms, { page, place }) {
    const isTop = place === page.sections[0];
    const href = page.path + (isTop ? "" : `#${place.anchor}`);
    const where = isTop ? [] : [make("span", { className: "search-place" }, place.heading)];
    return make("li", {}, make("a", { href }, page.title), ...where, snippet(terms, place.text));
  }

  function show(query) {
    const found = rank(query);
    const status = document.querySelector(".search-status");
    if (!query.trim()) return;
    const pages = found.length === 1 ? "One page has" : `${found.length} pages have`;
    status.textContent = found.length ? `${pages} “${query.trim()}”.`
      : `No page has “${query.trim()}”: try fewer words, or the glossary.`;
    document.getElementById("search-results").replaceChildren(
      ...found.map((hit) => item(termsOf(query), hit)));
  }

  const field = document.querySelector(".bd-search-container input[type=search]");
  const query = new URLSearchParams(location.search).get("q") ?? "";
  field.value = query;
  if (!query) field.focus();
  show(query);
})();
