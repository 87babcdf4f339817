(() => {
"use strict";
// All texts are untrusted: they enter the page through text nodes only.
const PAGE_SIZE = 10;
const ENTRIES_SHOWN = 8;
const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const byId = (id) => document.getElementById(id);

addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});

const block = byId("browser-data");
if (!block) return;
const { entries, questions } = JSON.parse(block.textContent);
const state = { page: 0, found: questions.map((_, index) => index) };

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

function text(name, className, ...children) {
  const made = element(name, className, ...children);
  made.dir = "auto";
  return made;
}

// Search: each question's texts in lower case, made at the first search.
let haystacks = null;

function haystack(question) {
  const parts = [question.id, question.question, question.context, ...question.choices];
  for (const answer of question.answers) if (answer) parts.push(answer.reasons, answer.raw);
  return parts.filter(Boolean).join("\n").toLowerCase();
}

function words() {
  return byId("query").value.toLowerCase().split(/\s+/).filter(Boolean);
}

function matches(index, needles) {
  if (!needles.length) return true;
  haystacks ??= questions.map(haystack);
  return needles.every((needle) => haystacks[index].includes(needle));
}

// Mark the searched words inside a text.
function marked(value, needles) {
  if (!needles.length) return [value];
  const safe = needles.map((needle) => needle.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = value.split(new RegExp(`(${safe.join("|")})`, "gi"));
  return parts.map((part, index) => (index % 2 ? element("mark", "", part) : part));
}

// Which entries are shown, and whose answers decide what is found.
function shownEntries() {
  const off = new Set();
  for (const box of byId("facets").querySelectorAll("input:not(:checked)")) off.add(box.value);
  const visible = (entry) => !entry.facets.some((facet) => off.has(JSON.stringify(facet)));
  return entries.map((_, index) => index).filter((index) => visible(entries[index]));
}

const isRight = (question, answer) => answer.choice >= 0 && answer.choice === question.right;

const OUTCOMES = {
  "all": () => true,
  "some-wrong": (question, answers) => answers.some((answer) => !isRight(question, answer)),
  "all-wrong": (question, answers) => answers.every((answer) => !isRight(question, answer)),
  "all-right": (question, answers) => answers.every((answer) => isRight(question, answer)),
  "differ": (_, answers) => new Set(answers.map((answer) => answer.choice)).size > 1,
  "unreadable": (_, answers) => answers.some((answer) => answer.choice < 0),
  "flagged": (_, answers) => answers.some((answer) => answer.flags.length > 0),
};

// Orders of the questions found: as in the test file, or by how far the shown answers disagree.
const distinct = (values) => new Set(values).size;
const ORDERS = {
  "file": null,
  "disagreement": (answers) => distinct(answers.map((answer) => answer.choice)),
  "flags": (answers) => answers.reduce((sum, answer) => sum + answer.flags.length, 0),
};

function inOrder(found, deciding) {
  const weight = ORDERS[byId("order").value];
  if (!weight) return found;
  const weights = new Map(found.map((index) => {
    const answers = deciding.map((entry) => questions[index].answers[entry]).filter(Boolean);
    return [index, weight(answers)];
  }));
  return found.sort((a, b) => weights.get(b) - weights.get(a) || a - b);
}

function update() {
  const judged = byId("judged").value;
  const deciding = judged === "shown" ? shownEntries() : [Number(judged)];
  const outcome = byId("outcome").value;
  const needles = words();
  state.found = questions.map((_, index) => index).filter((index) => {
    const question = questions[index];
    const answers = deciding.map((entry) => question.answers[entry]).filter(Boolean);
    const fits = outcome === "all" || (answers.length > 0 && OUTCOMES[outcome](question, answers));
    return fits && matches(index, needles);
  });
  state.found = inOrder(state.found, deciding);
  state.page = 0;
  show();
}

// The same elements as the macro question_item in parts.html: change both together.
function answerElement(question, index, needles) {
  const answer = question.answers[index];
  if (!answer) return null;
  const right = isRight(question, answer);
  const verdict = right ? "✓ right" : answer.choice >= 0 ? "✗ wrong" : "✗ unreadable";
  const given = answer.choice >= 0 ? question.choices[answer.choice] : answer.raw;
  const reasons = answer.reasons ? marked(answer.reasons, needles) : ["No reasons given."];
  return element("section", `answer ${right ? "right" : "wrong"}`,
    element("h4", "", entries[index].name),
    text("p", "verdict", element("b", "", verdict), " ", ...marked(given, needles)),
    text("p", "reasons", ...reasons),
    flagsElement(answer.flags), scoresElement(answer.scores));
}

function flagsElement(flags) {
  if (!flags.length) return null;
  return element("p", "flags", ...flags.flatMap((flag) => [element("span", "tag", flag), " "]));
}

function scoresElement(scores) {
  if (!scores.length) return null;
  return element("details", "scores", element("summary", "", "Scores"),
    element("ul", "", ...scores.map(([label, value]) => element("li", "", `${label}: ${value}`))));
}

function choiceElement(question, choice, index, needles) {
  const gold = index === question.right;
  const tag = gold ? element("span", "tag", "right answer") : null;
  return text("li", gold ? "gold" : "", `(${LETTERS[index]}) `, ...marked(choice, needles),
    gold ? " " : null, tag);
}

function questionElement(index, shown, needles) {
  const question = questions[index];
  const label = question.question_label ? `${question.question_label}: ` : "";
  return element("article", "item",
    text("h3", "", element("span", "index", String(index + 1)), ` ${label}`,
      ...marked(question.question, needles)),
    question.context
      ? text("p", "context", `${question.context_label}: `, ...marked(question.context, needles))
      : null,
    element("ul", "choices",
      ...question.choices.map((choice, place) => choiceElement(question, choice, place, needles))),
    element("div", "answers",
      ...shown.map((entry) => answerElement(question, entry, needles))));
}

function show() {
  const pages = Math.max(1, Math.ceil(state.found.length / PAGE_SIZE));
  const start = state.page * PAGE_SIZE;
  const slice = state.found.slice(start, start + PAGE_SIZE);
  const shown = shownEntries();
  const needles = words();
  byId("items").replaceChildren(...slice.map((index) => questionElement(index, shown, needles)));
  const range = slice.length ? `${start + 1}–${start + slice.length} of ` : "";
  byId("status").textContent =
    `${range}${state.found.length.toLocaleString("en")} questions found` +
    ` (${questions.length.toLocaleString("en")} in all)`;
  byId("page").value = state.page + 1;
  byId("page").max = pages;
  byId("pages-of").textContent = `of ${pages}`;
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page >= pages - 1;
  byId("pages").hidden = pages === 1;
}

function turnTo(page) {
  const last = Math.max(0, Math.ceil(state.found.length / PAGE_SIZE) - 1);
  state.page = Math.min(last, Math.max(0, page || 0));
  show();
  byId("status").scrollIntoView({ block: "start" });
}

// One box of checkboxes for each kind of facet: students, conditions, teachers.
function buildFacets() {
  const facets = new Map();
  for (const entry of entries) {
    for (const [kind, label] of entry.facets) {
      if (!facets.has(kind)) facets.set(kind, new Set());
      facets.get(kind).add(label);
    }
  }
  const many = entries.length > ENTRIES_SHOWN;
  for (const [kind, labels] of facets) {
    if (labels.size === 1 && kind !== "Teacher") continue;
    const boxes = [...labels].map((label, index) => {
      const box = element("input");
      box.type = "checkbox";
      box.value = JSON.stringify([kind, label]);
      box.checked = !(many && kind === "Student" && index > 0);
      return element("label", "", box, ` ${label}`);
    });
    byId("facets").append(element("fieldset", "", element("legend", "", kind), ...boxes));
  }
}

function start() {
  buildFacets();
  entries.forEach((entry, index) => {
    const option = element("option", "", `${entry.name} alone`);
    option.value = index;
    byId("judged").append(option);
  });
  let waiting = 0;
  byId("query").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(update, 150);
  });
  for (const id of ["outcome", "order", "judged", "facets"]) byId(id).addEventListener("change", update);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("previous").addEventListener("click", () => turnTo(state.page - 1));
  byId("next").addEventListener("click", () => turnTo(state.page + 1));
  byId("page").addEventListener("change", () => turnTo(Number(byId("page").value) - 1));
  byId("controls").hidden = false;
  update();
}

start();
})();
