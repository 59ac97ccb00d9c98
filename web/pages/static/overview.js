"use strict";
// The sequences of a job are found, sorted and paged without loading the page anew; the service does the work.
const part = (id, from = document) => from.getElementById(id);
const home = () => part("choice").action;
let timer, latest = 0;

const show = async (query) => {
  const number = latest += 1;
  clearTimeout(timer);
  try {
    const answer = await fetch(`${home()}/sequences${query}`);
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (number !== latest) return;
    const focused = part("overview").contains(document.activeElement) ? document.activeElement.textContent : null;
    part("overview").replaceWith(part("overview", page));
    part("shown").textContent = part("shown", page).textContent;
    history.replaceState(null, "", home() + query);
    if (focused !== null) [...part("overview").querySelectorAll("a")].find((link) => link.textContent === focused)?.focus();
  } catch { location.assign(home() + query); }
};
const choose = () => show(`?${new URLSearchParams(new FormData(part("choice")))}`);

document.addEventListener("input", (event) => {
  if (event.target.form !== part("choice")) return;
  clearTimeout(timer);
  timer = setTimeout(choose, event.target.type === "search" ? 60 : 0);
});
document.addEventListener("submit", (event) => {
  if (event.target === part("choice")) { event.preventDefault(); choose(); }
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("#overview thead a, #overview .buttons a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(new URL(link.href).search);
});
