"use strict";
// The page of a job that goes on is looked at again and again, also after the server was away.
const look = async () => {
  const live = document.getElementById("live");
  try {
    const answer = await fetch(location.href, { headers: { Prefer: "wait=2" } });
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("live");
      if (!next || !("active" in next.dataset)) { location.reload(); return; }
      if (!live.contains(document.activeElement)) live.replaceWith(next);
    }
  } catch { /* the server is away: it is asked again */ }
  setTimeout(look, 500);
};
look();
