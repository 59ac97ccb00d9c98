"use strict";
// What is pasted, dropped or chosen is recognised at once, by the service itself; databases are found by typing.
const byId = (id) => document.getElementById(id);
const form = byId("search"), query = byId("query"), file = byId("file"), said = byId("recognised");
const LARGE = 5e6; // bytes, above which nothing is sent before the search
let timer, latest = 0;

const count = (number, one) => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
const describe = (found) => {
  if (found.problems) return found.problems.join("\n");
  if (!found.sequences) return `These are ${found.molecule} sequences.${found.program ? ` Program: ${found.program}.` : ""}`;
  const known = found.known === found.distinct ? "all known: the result is there at once"
    : found.known ? `${found.known.toLocaleString("en")} known already` : "none known yet";
  return [`${count(found.sequences, `${found.molecule} sequence`)}, ${known}. Program: ${found.program}.`,
    ...(found.before ? [`${found.before}.`] : []), ...found.warnings].join("\n");
};
const recognise = async () => {
  const number = latest += 1;
  const chosen = file.files[0];
  if (!chosen && !query.value.trim()) { said.textContent = ""; return; }
  if ((chosen?.size ?? query.value.length) > LARGE) { said.textContent = "A large query: it is checked when you search."; return; }
  try {
    const answer = await fetch("/recognised", { method: "POST", body: new FormData(form) });
    const found = await answer.json();
    if (number === latest) said.textContent = answer.ok ? describe(found) : "";
  } catch { /* the search itself will say what is wrong */ }
};
const soon = () => { clearTimeout(timer); timer = setTimeout(recognise, 350); };
query.addEventListener("input", soon);
form.addEventListener("change", soon);
query.addEventListener("dragover", (event) => { event.preventDefault(); query.classList.add("drop"); });
query.addEventListener("dragleave", () => query.classList.remove("drop"));
query.addEventListener("drop", (event) => {
  query.classList.remove("drop");
  if (!event.dataTransfer.files.length) return;
  event.preventDefault();
  file.files = event.dataTransfer.files;
  soon();
});
soon();

// All options of a program, without loading the page anew: a file that was chosen stays chosen.
form.addEventListener("submit", async (event) => {
  if (event.submitter?.name !== "show") return;
  event.preventDefault();
  const program = event.submitter.value, sent = new FormData(form);
  sent.delete("file");
  sent.set("show", program);
  try {
    const answer = await fetch("/options", { method: "POST", body: sent });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    byId("options").replaceWith(page.getElementById("options"));
    byId("program").value = program;
    byId("options").querySelector(".option input, .option select").focus();
    soon();
  } catch { said.textContent = "The options cannot be loaded: try again in a while."; }
});

byId("find-field").hidden = false;
byId("find").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  const databases = byId("databases-heading").parentElement;
  for (const label of databases.querySelectorAll(".database")) {
    const text = `${label.closest("fieldset").querySelector("legend").textContent} ${label.textContent}`.toLowerCase();
    label.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of databases.querySelectorAll(".databases")) group.hidden = !group.querySelector(".database:not([hidden])");
});
