
"use strict";
{
  const STEP = 100; // rows that a table shows at once, and more at each wish
  const MAP_ROWS = 50;
  const CLASSES = ["under 40", "40 – 50", "50 – 80", "80 – 200", "200 and more"];
  const LIMITS = [40, 50, 80, 200];
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);

  // All text enters the page through these two, as text.
  const fill = (node, attributes, children) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") node.addEventListener(name, value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value !== null) node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child !== null));
    return node;
  };
  const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  const s = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

  const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
  const whole = (number) => number.toLocaleString("en");
  const scoreClass = (bits) => LIMITS.filter((limit) => bits >= limit).length;

  // As in BLAST+'s tabular format.
  const evalueText = (value) => {
    if (value < 1e-180) return "0.0";
    if (value < 0.0009) return value.toExponential(2).replace(/e-(\d)$/, "e-0$1");
    return value.toFixed(value < 0.1 ? 3 : value < 1 ? 2 : value < 10 ? 1 : 0);
  };
  const bitsText = (value) => (value >= 99.9 ? whole(Math.floor(value)) : value.toFixed(1));

  const unpack = async (id) => {
    const packed = atob(byId(id).textContent);
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  };

  const download = (name, type, parts) => {
    const url = URL.createObjectURL(new Blob(parts, { type }));
    const link = h("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  };
  const fileName = (text) => text.replace(/[^A-Za-z0-9._-]+/g, "_").slice(0, 80) || "query";

  const swatch = (bits) => {
    const number = scoreClass(bits);
    const box = { x: 1, y: 1, width: 22, height: 9, rx: 2 };
    return s("svg", { class: "swatch", viewBox: "0 0 24 11", "aria-hidden": "true" },
      s("rect", { ...box, class: `bar-${number}` }),
      number < 4 ? s("rect", { ...box, fill: `url(#texture-${number})` }) : null);
  };

  // A table that is sorted by its headers and grows on demand. A column is {title, value, cell, first};
  // `first` is the direction of its first sort, 1 ascending or -1 descending.
  const makeTable = (place, caption, columns, makeRow, sortedAnew = () => {}) => {
    let rows = [], shown = STEP, sorted = { column: -1, direction: 1 };
    const headers = columns.map((column, index) => h("th", { scope: "col", role: "columnheader", class: classes(column) },
      h("button", { type: "button", click: () => sort(index) }, column.title)));
    const body = h("tbody", { role: "rowgroup" });
    const more = h("button", { type: "button", class: "button", click: () => { const from = shown; shown += STEP; draw(from); } });
    const footer = h("p", { class: "buttons more" }, more);
    // The roles are those that the elements have; they stay when a narrow window lays rows out as blocks.
    place.replaceChildren(h("table", { role: "table" }, h("caption", {}, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, headers)), body), footer);

    const draw = (from = 0) => {
      const made = rows.slice(from, shown).map(makeRow);
      if (from) body.append(...made); else body.replaceChildren(...made);
      if (from) made[0].querySelector("a, button").focus();
      const left = rows.length - shown;
      footer.hidden = left <= 0;
      more.textContent = `Show ${Math.min(STEP, left)} more of ${whole(left)}`;
    };
    const order = () => {
      if (sorted.column < 0) return;
      const value = columns[sorted.column].value;
      const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
      rows = rows.map((row) => [value(row), row]).sort(([a], [b]) =>
        a === null || b === null ? (a === null) - (b === null) : sorted.direction * compare(a, b)).map(([, row]) => row);
    };
    const sort = (index) => {
      const again = sorted.column === index;
      sorted = { column: index, direction: again ? -sorted.direction : columns[index].first ?? 1 };
      headers.forEach((header) => header.removeAttribute("aria-sort"));
      headers[index].setAttribute("aria-sort", sorted.direction > 0 ? "ascending" : "descending");
      order();
      draw();
      sortedAnew();
    };
    return {
      body,
      get rows() { return rows; },
      show(wanted) { rows = wanted; shown = STEP; order(); draw(); },
      reach(row) { // draws as far as a row
        const index = rows.indexOf(row);
        if (index >= shown) { const from = shown; shown = Math.ceil((index + 1) / STEP) * STEP; draw(from); }
      },
    };
  };
  const classes = (column) => ["number", "rank", "clip", "header"].filter((name) => column[name]).join(" ") || null;
  const cells = (columns, row) => columns.map((column) =>
    h(column.header ? "th" : "td", { scope: column.header ? "row" : null, role: column.header ? "rowheader" : "cell",
      class: classes(column), "data-label": column.title }, column.cell(row)));
  const breakable = (name) => name.split(/(?<=[|_])/).flatMap((part, index) => (index ? [h("wbr"), part] : [part]));
  const named = (name, title) => [name, title ? h("span", { class: "title" }, title) : null];
  const later = (action) => { let timer; return () => { clearTimeout(timer); timer = setTimeout(action, 120); }; };

  // ---- Overview -------------------------------------------------------------------------------------------------

  let queries = [];

  const OVERVIEW = [
    { title: "No.", rank: true, number: true, value: (q) => q.position, cell: (q) => whole(q.position) },
    { title: "Query", header: true, clip: true, value: (q) => q.name,
      cell: (q) => named(h("a", { class: "name", href: `#query-${q.position}` }, breakable(q.name)), q.title) },
    { title: "Length", number: true, first: -1, value: (q) => q.length, cell: (q) => whole(q.length) },
    { title: "Hits", number: true, first: -1, value: (q) => q.hits, cell: (q) => whole(q.hits) },
    { title: "Best hit", clip: true, value: (q) => q.best ?? null,
      cell: (q) => (q.hits ? named(h("span", { class: "name" }, breakable(q.best)), q.bestTitle) : "no hits") },
    { title: "Bit score", number: true, first: -1, value: (q) => q.bits ?? null,
      cell: (q) => (q.hits ? [swatch(q.bits), bitsText(q.bits)] : "–") },
    { title: "E-value", number: true, value: (q) => q.evalue ?? null, cell: (q) => (q.hits ? evalueText(q.evalue) : "–") },
    { title: "Identity", number: true, first: -1, value: (q) => q.identity ?? null, cell: (q) => (q.hits ? `${q.identity.toFixed(1)} %` : "–") },
    { title: "Coverage", number: true, first: -1, value: (q) => q.coverage ?? null, cell: (q) => (q.hits ? `${q.coverage} %` : "–") },
  ];

  const makeOverview = () => {
    const withHits = queries.filter((q) => q.hits).length;
    const hits = queries.reduce((sum, q) => sum + q.hits, 0);
    byId("overview-summary").textContent =
      `${count(queries.length, "query", "queries")} · ${whole(withHits)} with hits · ${count(hits, "hit")} in all`;
    const table = makeTable(byId("overview-table"), "Queries with their best hits", OVERVIEW,
      (q) => h("tr", { class: "row", role: "row" }, cells(OVERVIEW, q)));
    const show = () => {
      const words = byId("overview-find").value.toLowerCase().split(/\s+/).filter(Boolean);
      const kind = byId("overview-show").value;
      const found = queries.filter((q) => (kind === "all" || (kind === "hits") === q.hits > 0)
        && words.every((word) => q.text.includes(word)));
      table.show(found);
      byId("overview-status").textContent = found.length === queries.length ? `All ${count(found.length, "query", "queries")}`
        : `${whole(found.length)} of ${count(queries.length, "query", "queries")}`;
    };
    byId("overview-find").addEventListener("input", later(show));
    byId("overview-show").addEventListener("change", show);
    show();
  };

  // ---- One query ------------------------------------------------------------------------------------------------

  const readHits = (data) => {
    const rows = [data.queryRows, data.midlines, data.subjectRows].map((text) => text.split("\n"));
    let next = 0;
    return data.subjects.map(([name, title, length, others, coverage, hsps], index) => ({
      rank: index + 1, name, title, length, others, coverage,
      text: [name, title, ...others].join(" ").toLowerCase(),
      hsps: hsps.map(([bits, score, evalue, identity, positive, gaps, columns, queryStart, queryEnd, subjectStart, subjectEnd, queryFrame, subjectFrame]) => {
        const [queryRow, midline, subjectRow] = rows.map((kind) => kind[next]);
        next += 1;
        return { bits, score, evalue, identity, positive, gaps, columns, queryStart, queryEnd, subjectStart, subjectEnd,
          queryFrame, subjectFrame, queryRow, midline, subjectRow };
      }),
    }));
  };
  const bits = (hit) => hit.hsps[0].bits;
  const percent = (part, all) => (100 * part) / all;
  const identity = (hit) => percent(hit.hsps[0].identity, hit.hsps[0].columns);

  const HITS = [
    { title: "No.", rank: true, number: true, value: (hit) => hit.rank, cell: (hit) => whole(hit.rank) },
    { title: "Subject", header: true, value: (hit) => hit.name,
      cell: (hit) => named(h("button", { type: "button", class: "toggle", "aria-expanded": "false" }, breakable(hit.name)), hit.title) },
    { title: "Bit score", number: true, first: -1, value: bits, cell: (hit) => [swatch(bits(hit)), bitsText(bits(hit))] },
    { title: "E-value", number: true, value: (hit) => hit.hsps[0].evalue, cell: (hit) => evalueText(hit.hsps[0].evalue) },
    { title: "Identity", number: true, first: -1, value: identity, cell: (hit) => `${identity(hit).toFixed(1)} %` },
    { title: "Coverage", number: true, first: -1, value: (hit) => hit.coverage, cell: (hit) => `${hit.coverage} %` },
    { title: "HSPs", number: true, first: -1, value: (hit) => hit.hsps.length, cell: (hit) => whole(hit.hsps.length) },
    { title: "Length", number: true, first: -1, value: (hit) => hit.length, cell: (hit) => whole(hit.length) },
  ];

  // Pages of the service link accessions to where they come from, and name organisms; a report stays within itself.
  const LINKS = JSON.parse(document.body.dataset.links ?? "[]").map(([pattern, address]) => [new RegExp(pattern), address]);
  const linkOf = (hit) => {
    for (const [pattern, address] of LINKS) {
      const found = pattern.exec(hit.name);
      if (found) return address.replaceAll("{}", encodeURIComponent(found[1] ?? found[0]));
    }
    return null;
  };
  const organism = (hit) => (/ OS=(.+?)(?= [A-Z]{2}=|$)/.exec(hit.title) ?? /\[([^[\]]+)\]$/.exec(hit.title))?.[1] ?? "";
  // Their form sends which hits were chosen, also those that the table does not show at the moment.
  const chosen = new Set();
  byId("chosen")?.addEventListener("formdata", ({ formData }) => {
    formData.delete("hit");
    for (const rank of chosen) formData.append("hit", rank);
  });
  const choice = { title: "Choose", value: (hit) => (chosen.has(hit.rank) ? 0 : 1), cell: (hit) => h("input", { type: "checkbox",
    name: "hit", value: hit.rank, form: "chosen", checked: chosen.has(hit.rank), "aria-label": `Choose ${hit.name}`,
    change: (event) => { if (event.target.checked) chosen.add(hit.rank); else chosen.delete(hit.rank); } }) };
  const hitColumns = (hits) => {
    if (!("links" in document.body.dataset)) return HITS;
    const [rank, subject, ...others] = HITS;
    const linked = { ...subject, cell: (hit) => {
      const address = linkOf(hit);
      const [name, title] = subject.cell(hit);
      return [name, address ? h("a", { class: "out", href: address, target: "_blank", rel: "noopener noreferrer", "aria-label": `${hit.name} at its source` }, "\u2197") : null, title];
    } };
    const named = { title: "Organism", value: (hit) => organism(hit) || null, cell: (hit) => organism(hit) };
    return [rank, ...(byId("chosen") ? [choice] : []), linked, ...(hits.some(organism) ? [named] : []), ...others];
  };

  const wrapped = (sequence) => sequence.match(/.{1,60}/g)?.join("\n") ?? "";
  const fasta = (hits) => hits.flatMap((hit) => hit.hsps.map((hsp) =>
    `>${hit.name}:${hsp.subjectStart}-${hsp.subjectEnd} ${hit.title}`.trimEnd() + `\n${wrapped(hsp.subjectRow.replaceAll("-", ""))}\n`));
  const tableText = (query, hits) => [
    ["query", "subject", "identity_percent", "columns", "gaps", "query_start", "query_end", "subject_start", "subject_end", "evalue", "bit_score", "subject_title"].join("\t") + "\n",
    ...hits.flatMap((hit) => hit.hsps.map((hsp) => [query.name, hit.name, percent(hsp.identity, hsp.columns).toFixed(3), hsp.columns, hsp.gaps,
      hsp.queryStart, hsp.queryEnd, hsp.subjectStart, hsp.subjectEnd, evalueText(hsp.evalue), hsp.bits, hit.title.replace(/\s/g, " ")].join("\t") + "\n")),
  ];

  const alignmentText = (hsp, columns) => {
    const lines = [];
    const width = Math.max(...[hsp.queryStart, hsp.queryEnd, hsp.subjectStart, hsp.subjectEnd].map((place) => String(place).length));
    // A residue takes three bases of a translated sequence; the minus strand counts down.
    const stepOf = (start, end, frame) => (start > end || frame < 0 ? -1 : 1) * (frame ? 3 : 1);
    const walk = (place, step) => (row) => {
      const residues = row.length - (row.match(/-/g)?.length ?? 0);
      const first = place;
      place += residues * step;
      return residues ? [first, place - Math.sign(step)] : [first - Math.sign(step), first - Math.sign(step)];
    };
    const query = walk(hsp.queryStart, stepOf(hsp.queryStart, hsp.queryEnd, hsp.queryFrame));
    const subject = walk(hsp.subjectStart, stepOf(hsp.subjectStart, hsp.subjectEnd, hsp.subjectFrame));
    const line = (label, [start, end], row) => [h("span", { class: "place" }, `${label}  ${String(start).padEnd(width)}  `), row,
      h("span", { class: "place" }, `  ${end}`), "\n"];
    for (let at = 0; at < hsp.queryRow.length; at += columns) {
      const [upper, middle, lower] = [hsp.queryRow, hsp.midline, hsp.subjectRow].map((row) => row.slice(at, at + columns));
      const parts = []; // of the subject, each equal to the query or different from it all along
      for (let place = 0; place < lower.length; place += 1) {
        const differs = upper[place].toUpperCase() !== lower[place].toUpperCase();
        if (parts.at(-1)?.differs === differs) parts.at(-1).text += lower[place]; else parts.push({ differs, text: lower[place] });
      }
      lines.push(line("Query", query(upper), upper), `${" ".repeat(9 + width)}${middle}\n`.replace(/ +\n/, "\n"),
        line("Sbjct", subject(lower), parts.map(({ text, differs }) => (differs ? h("span", { class: "differs" }, text) : text))), "\n");
    }
    lines.pop();
    return lines.flat(3);
  };

  const measures = (hsp) => {
    const share = (part) => `${whole(part)}/${whole(hsp.columns)} (${percent(part, hsp.columns).toFixed(1)} %)`;
    const nucleotide = /\|/.test(hsp.midline);
    const frames = [hsp.queryFrame, hsp.subjectFrame].filter(Boolean).map((frame) => (frame > 0 ? `+${frame}` : `−${-frame}`));
    const list = [["Score", `${bitsText(hsp.bits)} bits (${whole(hsp.score)})`], ["E-value", evalueText(hsp.evalue)], ["Identities", share(hsp.identity)]];
    if (!nucleotide) list.push(["Positives", share(hsp.positive)]);
    list.push(["Gaps", share(hsp.gaps)]);
    if (frames.length) list.push([frames.length > 1 ? "Frames" : "Frame", frames.join(" / ")]);
    if (nucleotide) list.push(["Strands", `plus / ${hsp.subjectStart > hsp.subjectEnd ? "minus" : "plus"}`]);
    return h("dl", { class: "measures" }, list.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  };

  const alignmentRow = (hit, id, width, span) => {
    const small = width < 640;
    const columns = Math.max(20, Math.min(60, 10 * Math.floor(((width - 60) / (small ? 7.2 : 8) - 24) / 10)));
    const blocks = hit.hsps.map((hsp, index) => h("section", { class: "hsp" },
      h("h4", {}, hit.hsps.length > 1 ? `Alignment ${index + 1} of ${hit.hsps.length}` : "Alignment"),
      measures(hsp), h("pre", {}, alignmentText(hsp, columns))));
    const notes = [];
    if (hit.others.length) notes.push(`The same sequence as ${hit.others.join(", ")}.`);
    if (hit.hsps.some((hsp) => /[a-z]/.test(hsp.queryRow))) notes.push("Lower case: filtered in the query, e.g. for low complexity.");
    return h("tr", { class: "alignments", role: "row", id }, h("td", { role: "cell", colspan: span },
      notes.map((text) => h("p", { class: "soft" }, text)), blocks));
  };

  const ticks = (length) => {
    const rough = length / 6;
    const unit = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
    const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * unit).find((size) => size >= rough));
    const places = [1];
    for (let place = step; place < length - step / 2.5; place += step) if (place > step / 2.5 || place === step) places.push(place);
    return [...new Set([...places, length])];
  };

  const drawMap = (query, hits, width, open) => {
    const narrow = width < 560;
    const left = narrow ? 8 : 168, right = width - (narrow ? 52 : 66), top = 34, row = 20;
    const x = (place) => left + ((place - 1) / query.length) * (right - left);
    const height = top + hits.length * row + 6;
    const axis = ticks(query.length).map((place) => {
      const at = place === query.length ? right : x(place);
      const anchor = place === query.length ? "end" : place === 1 ? "start" : "middle";
      return [s("line", { class: "grid", x1: at, x2: at, y1: top - 6, y2: height }),
        s("text", { class: "tick", x: at, y: top - 14, "text-anchor": anchor }, whole(place))];
    });
    const short = (name) => { // the accession out of tr|accession|name or gi|number|emb|accession|name
      const text = /^(?:gi\|\d+\|)?\w+\|([^|]+)\|/.exec(name)?.[1] ?? name;
      return text.length > 20 ? `${text.slice(0, 19)}…` : text;
    };
    const rows = hits.map((hit, index) => {
      const y = top + index * row;
      const spans = hit.hsps.map((hsp) => [Math.min(hsp.queryStart, hsp.queryEnd), Math.max(hsp.queryStart, hsp.queryEnd), hsp]);
      const bars = [...spans].reverse().map(([start, end, hsp]) => {
        const number = scoreClass(hsp.bits);
        const box = { x: x(start), y: y + 5, width: Math.max(3, x(end + 1) - x(start)), height: 10, rx: 2.5 };
        return [s("rect", { ...box, class: `bar-${number}` }), number < 4 ? s("rect", { ...box, fill: `url(#texture-${number})` }) : null];
      });
      return s("g", { class: "hit", click: () => open(hit) },
        s("title", {}, `${hit.name}: ${bitsText(bits(hit))} bits, E-value ${evalueText(hit.hsps[0].evalue)}, ${count(hit.hsps.length, "alignment")}`),
        s("rect", { class: "area", x: 0, y, width, height: row }),
        narrow ? null : s("text", { x: left - 10, y: y + 14, "text-anchor": "end" }, short(hit.name)),
        s("line", { class: "link", x1: x(Math.min(...spans.map(([start]) => start))), x2: x(Math.max(...spans.map(([, end]) => end))), y1: y + 10, y2: y + 10 }),
        bars.flat(),
        s("text", { x: width - 2, y: y + 14, "text-anchor": "end" }, bitsText(bits(hit))));
    });
    return s("svg", { width, height, role: "img", "aria-label":
      `Map of where the ${hits.length} listed hits align with the query of length ${query.length}. The table below tells the same in words.` },
      s("line", { class: "axis", x1: left, x2: right, y1: top - 6, y2: top - 6 }), axis.flat(),
      s("text", { class: "tick", x: width - 2, y: top - 14, "text-anchor": "end" }, "bits"), rows);
  };

  const field = (id, label, attributes, wide = false) => h("p", { class: wide ? "field wide" : "field" },
    h("label", { for: id }, label), h("input", { id, autocomplete: "off", spellcheck: "false", ...attributes }));

  const way = (query) => {
    const step = (by, text, name) => {
      const other = queries[query.position - 1 + by];
      return other ? h("a", { class: name, href: `#query-${other.position}` }, text) : h("span", { class: `${name} soft`, "aria-disabled": "true" }, text);
    };
    return h("nav", { class: "way", "aria-label": "Queries" }, h("a", { href: "#overview" }, "← All queries"),
      step(-1, "Previous", "previous"), step(1, "Next", "next"));
  };

  let tidy = () => {};

  const showQuery = async (query, focus) => {
    const place = byId("query");
    const heading = h("h2", { id: "query-heading", tabindex: "-1" }, query.name);
    const which = queries.length > 1 ? `Query ${whole(query.position)} of ${whole(queries.length)} · ` : "";
    const about = `${which}length ${whole(query.length)} · ${count(query.hits, "hit")}`;
    const header = h("div", { class: "card" }, queries.length > 1 ? way(query) : null, heading, query.title ? h("p", { class: "soft" }, query.title) : null, h("p", { class: "summary" }, about));
    place.replaceChildren(header);
    place.setAttribute("aria-busy", "true");
    if (focus) heading.focus({ preventScroll: true });
    if (focus) scrollTo(0, 0);
    const data = await unpack(`query-${query.position}-data`);
    if (!heading.isConnected) return; // another query was asked for meanwhile
    place.removeAttribute("aria-busy");
    tidy();
    const notice = data.message || (data.subjects.length ? "" : "No hits found");
    if (notice) header.append(h("p", { class: "notice" }, notice));
    if (data.subjects.length) place.append(...hitSections(query, readHits(data)));
  };

  const hitSections = (query, all) => {
    const status = h("p", { class: "status", role: "status", "aria-live": "polite" });
    const chart = h("div", { class: "map" });
    const place = h("div", { class: "table" });
    const moreMap = h("button", { type: "button", class: "button", click: () => { mapped += MAP_ROWS; draw(); } });
    const filters = [
      ["hits-find", "Find a subject", { type: "search" }, true],
      ["hits-evalue", "E-value at most", { inputmode: "decimal" }],
      ["hits-identity", "Identity at least (%)", { inputmode: "decimal" }],
      ["hits-coverage", "Coverage at least (%)", { inputmode: "decimal" }],
    ].map((one) => field(...one));
    const button = (text, click) => h("button", { type: "button", class: "button", click }, text);
    const open = new Set();
    let mapped = MAP_ROWS, drawnWidth = 0;

    // Asked for its width after each change, the browser would lay out all that is open again and again.
    const toggle = (hit, row, width = place.clientWidth) => {
      const control = row.querySelector(".toggle");
      if (row.classList.toggle("open")) {
        open.add(hit);
        const id = `alignments-${hit.rank}`;
        row.after(alignmentRow(hit, id, width, columns.length));
        control.setAttribute("aria-controls", id);
      } else {
        open.delete(hit);
        row.nextElementSibling.remove();
        control.removeAttribute("aria-controls");
      }
      control.setAttribute("aria-expanded", String(open.has(hit)));
    };
    const columns = hitColumns(all);
    const rowOf = new Map();
    const makeRow = (hit) => {
      const row = h("tr", { class: "row", role: "row" }, cells(columns, hit));
      row.querySelector(".toggle").addEventListener("click", () => toggle(hit, row));
      rowOf.set(hit, row);
      if (open.has(hit)) { const width = place.clientWidth; queueMicrotask(() => toggle(hit, row, width)); }
      return row;
    };
    const table = makeTable(place, `Hits of ${query.name}`, columns, makeRow, () => draw());
    const openFromMap = (hit) => {
      table.reach(hit);
      const row = rowOf.get(hit);
      if (!open.has(hit)) toggle(hit, row);
      row.scrollIntoView({ block: "start" });
      row.querySelector(".toggle").focus({ preventScroll: true });
    };
    const draw = () => {
      drawnWidth = chart.clientWidth;
      if (!drawnWidth) return; // not in the page yet; the observer calls again when it is
      const hits = table.rows.slice(0, mapped);
      chart.replaceChildren(drawMap(query, hits, drawnWidth, openFromMap));
      const left = table.rows.length - hits.length;
      moreMap.parentElement.hidden = left <= 0;
      moreMap.textContent = `Show ${Math.min(MAP_ROWS, left)} more of ${whole(left)} in the map`;
    };
    const number = (input, otherwise) => {
      const text = input.value.trim().replace(",", ".");
      const value = text ? Number(text) : otherwise;
      input.setAttribute("aria-invalid", String(Number.isNaN(value)));
      return Number.isNaN(value) ? otherwise : value;
    };
    const show = () => {
      const [find, evalue, least, covered] = filters.map((one) => one.querySelector("input"));
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const [evalueMax, identityMin, coverageMin] = [number(evalue, Infinity), number(least, 0), number(covered, 0)];
      const found = all.filter((hit) => hit.hsps[0].evalue <= evalueMax && identity(hit) >= identityMin
        && hit.coverage >= coverageMin && words.every((word) => hit.text.includes(word)));
      rowOf.clear();
      table.show(found);
      draw();
      status.textContent = found.length === all.length ? `All ${count(all.length, "hit")}` : `${whole(found.length)} of ${count(all.length, "hit")}`;
      for (const control of downloads) control.disabled = !found.length;
    };
    const unfold = () => {
      const width = place.clientWidth;
      for (const [hit, row] of rowOf) if (row.isConnected && !open.has(hit)) toggle(hit, row, width);
    };
    const downloads = [
      button("Download aligned sequences (FASTA)", () => download(`${fileName(query.name)}.hits.fasta`, "text/x-fasta", fasta(table.rows))),
      button("Download table (TSV)", () => download(`${fileName(query.name)}.hits.tsv`, "text/tab-separated-values", tableText(query, table.rows))),
    ];
    const buttons = h("p", { class: "buttons" }, downloads, button("Open all alignments shown", unfold));
    filters.forEach((one) => one.addEventListener("input", later(show)));
    const observer = new ResizeObserver(() => { if (chart.clientWidth !== drawnWidth) draw(); });
    observer.observe(chart);
    tidy = () => observer.disconnect();

    const legend = h("ul", { class: "legend", "aria-label": "Bit scores" }, CLASSES.map((text, index) =>
      h("li", {}, swatch([0, ...LIMITS][index]), `${text}${index === 4 ? " bits" : ""}`)));
    const map = h("section", { class: "card", "aria-labelledby": "map-heading" },
      h("h3", { id: "map-heading" }, "Where the hits align"), legend, chart, h("p", { class: "buttons more" }, moreMap));
    const list = h("section", { class: "card", "aria-labelledby": "hits-heading" }, h("h3", { id: "hits-heading" }, "Hits"),
      h("div", { class: "tools", role: "search", "aria-label": "Hits" }, filters), buttons, status, place);
    show();
    return [map, list];
  };

  // ---- Moving about ---------------------------------------------------------------------------------------------

  const title = document.title;
  const route = (focus) => {
    const wanted = /^#query-(\d+)$/.exec(location.hash);
    if (location.hash && location.hash !== "#overview" && !wanted) return;
    const query = wanted ? queries[wanted[1] - 1] : queries.length === 1 && !location.hash ? queries[0] : null;
    byId("overview").hidden = Boolean(query);
    byId("query").hidden = !query;
    document.body.classList.toggle("viewing-query", Boolean(query));
    document.title = query ? `${query.name} – ${title}` : title;
    if (query) showQuery(query, focus);
    else if (focus) byId("overview-heading").focus();
  };

  const start = (rows) => {
    queries = rows.map(([name, title, length, hits, best, bestTitle, bits, evalue, identity, coverage], index) => ({
      position: index + 1, name, title, length, hits, best, bestTitle, bits, evalue, identity, coverage,
      text: [name, title, best ?? "", bestTitle ?? ""].join(" ").toLowerCase(),
    }));
    makeOverview();
    addEventListener("hashchange", () => route(true));
    route(false);
  };
  if ("DecompressionStream" in window) unpack("overview-data").then(start);
  else byId("main").append(h("p", { class: "notice" }, "This browser is too old for this report: it needs one of 2023 or later."));
}
