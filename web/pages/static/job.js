"use strict";
// What goes on in a page is looked at again and again, also after the server was away; by itself if it has an address.
const look = async () => {
  const live = document.querySelector("[data-active]");
  if (!live) return;
  try {
    const answer = await fetch(live.dataset.from || location.href, { headers: { Prefer: "wait=2" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById(live.id);
      const same = next && (live.dataset.from || next.dataset.active === live.dataset.active);
      if (!same) { location.reload(); return; } // there is more to see than what goes on
      if (!live.contains(document.activeElement)) live.replaceWith(next);
    }
  } catch { /* the server is away: it is asked again */ }
  setTimeout(look, 500);
};
look();
