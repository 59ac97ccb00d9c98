"use strict";
// What goes on in a page is looked at again and again, also after the server was away; by itself if it has an address.
// The page is not loaded anew under a visitor's hands: while something typed is not sent, or just after they went elsewhere.
let left = 0;
addEventListener("beforeunload", () => { left = performance.now(); });
const typed = () => [...document.querySelectorAll("form[method=post] :is(input, textarea)")]
  .some((field) => field.type !== "hidden" && field.value !== field.defaultValue);
const renew = () => {
  if (typed() || left && performance.now() - left < 10000) setTimeout(renew, 500); else location.reload();
};
const look = async () => {
  const live = document.querySelector("[data-active]");
  if (!live) return;
  try {
    const answer = await fetch(live.dataset.from || location.href, { headers: { Prefer: "wait=2" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById(live.id);
      const same = next && (live.dataset.from || next.dataset.active === live.dataset.active);
      if (next && !live.contains(document.activeElement)) live.replaceWith(next);
      if (!same) { renew(); return; } // there is more to see than what goes on
    }
  } catch { /* the server is away: it is asked again */ }
  setTimeout(look, 500);
};
look();
