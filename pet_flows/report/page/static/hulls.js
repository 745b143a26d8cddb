"use strict";
/* Stability within each chemical system, from the campaign's own energies. */
(function (PF) {
  const R = window.ROWS, HULLS = window.HULLS, main = PF.head("Hulls");

  if (!HULLS.length) {
    main.append(PF.section("Hulls", "No structure has an energy yet: compute relax or static."));
    return;
  }
  const several = new Set(R.potential).size > 1;
  const whole = HULLS.filter((h) => !h.missing.length), lacking = HULLS.filter((h) => h.missing.length);
  const name = (h) => h.system + (several ? `, ${h.potential}` : "");
  const plot = PF.plot(440, "hull"), table = PF.el("div", { class: "scroll" }), note = PF.el("p", { class: "note" });
  const asked = decodeURIComponent(location.hash.slice(1));

  function say(h, n) {
    const row = h.row[n];
    return `<b>${PF.shown(R.material[row])}</b> ${PF.shown(R.formula[row])}<br>formation ${PF.number(h.formation[n], 4)} eV/atom` +
      `<br>${PF.number(1000 * h.above[n], 3)} meV/atom above the hull`;
  }

  function points(h, c, pick, axes) {
    const all = Array.from(h.row.keys()).filter(pick);
    return {
      mode: "markers", ...axes(all), customdata: all.map((n) => h.row[n]), text: all.map((n) => say(h, n)), hovertemplate: "%{text}<extra></extra>",
    };
  }

  /** Elements: energies in order. Two elements: formation energies with the hull. Three: a triangle. */
  function drawn(h, c) {
    const stable = (n) => h.stable[n], not = (n) => !h.stable[n];
    const full = { color: c.pet, size: 10 }, open = { color: c.paper, size: 8, line: { color: c.grey, width: 1.5 } };
    if (h.elements.length === 1) {
      const order = Array.from(h.row.keys()).sort((a, b) => h.above[a] - h.above[b]).slice(0, 40);
      return {
        data: [{
          type: "bar", x: order.map((_, k) => k), y: order.map((n) => 1000 * h.above[n]), customdata: order.map((n) => h.row[n]),
          text: order.map((n) => say(h, n)), textposition: "none", hovertemplate: "%{text}<extra></extra>",
          marker: { color: order.map((n) => (h.stable[n] ? c.pet : c.grey)) },
        }],
        layout: PF.layout(c, "", "energy above the lowest (meV/atom)", {
          xaxis: { tickvals: order.map((_, k) => k), ticktext: order.map((n) => PF.shown(R.material[h.row[n]])), showgrid: false },
        }),
      };
    }
    if (h.elements.length === 2) {
      const axes = (all) => ({ x: all.map((n) => h.fractions[n][1]), y: all.map((n) => h.formation[n]) });
      const hull = Array.from(h.row.keys()).filter(stable).sort((a, b) => h.fractions[a][1] - h.fractions[b][1]);
      return {
        data: [
          { type: "scatter", mode: "lines", ...axes(hull), line: { color: c.pet, width: 1.5 }, hoverinfo: "skip" },
          { type: "scatter", ...points(h, c, not, axes), marker: open }, { type: "scatter", ...points(h, c, stable, axes), marker: full },
        ],
        layout: PF.layout(c, `part of ${h.elements[1]} in ${h.system}`, "formation energy (eV/atom)", { xaxis: { range: [-0.03, 1.03] } }),
      };
    }
    const axes = (all) => ({ a: all.map((n) => h.fractions[n][0]), b: all.map((n) => h.fractions[n][1]), c: all.map((n) => h.fractions[n][2]) });
    const axis = (title) => ({ title: { text: title }, color: c.ink, gridcolor: c.line, linecolor: c.grey });
    return {
      data: [
        { type: "scatterternary", ...points(h, c, not, axes), marker: open },
        { type: "scatterternary", ...points(h, c, stable, axes), marker: full },
      ],
      layout: PF.layout(c, "", "", {
        ternary: { bgcolor: "rgba(0,0,0,0)", aaxis: axis(h.elements[0]), baxis: axis(h.elements[1]), caxis: axis(h.elements[2]) },
        margin: { l: 40, r: 40, t: 40, b: 40 },
      }),
    };
  }

  function listed(h) {
    const order = Array.from(h.row.keys()).sort((a, b) => h.above[a] - h.above[b]);
    const compound = h.elements.length > 1;
    const head = [["structure"], compound && ["formula"], ["space group"], compound && ["formation, eV/atom", "number"],
      [compound ? "above hull, meV/atom" : "above lowest, meV/atom", "number"]].filter(Boolean);
    return PF.el("table", { class: "plain" },
      PF.el("thead", {}, PF.el("tr", {}, head.map(([text, kind]) => PF.el("th", { text, class: kind || null })))),
      PF.el("tbody", {}, order.slice(0, 200).map((n) => PF.el("tr", {}, PF.el("td", {}, PF.rowLink(h.row[n])),
        compound && PF.el("td", {}, PF.formula(R.formula[h.row[n]])), PF.el("td", {}, PF.group(R.group[h.row[n]])),
        compound && PF.el("td", { class: "number", text: PF.number(h.formation[n], 4) }),
        PF.el("td", { class: "number", text: h.stable[n] ? "stable" : PF.number(1000 * h.above[n], 4) })))));
  }

  function update(number) {
    const h = whole[number];
    note.textContent = `Energies of ${h.source} with ${h.potential}. Nothing of DFT is in this hull: what is not in the campaign is not in it either.`;
    plot.hidden = h.elements.length > 3;
    if (!plot.hidden) PF.draw(plot, (c) => drawn(h, c), (row) => { const to = PF.pageOf(row); if (to) location.href = to; });
    table.replaceChildren(listed(h));
  }

  if (whole.length) {
    const order = [...whole.keys()].sort((a, b) => whole[b].elements.length - whole[a].elements.length || whole[a].system.localeCompare(whole[b].system));
    const choice = PF.select("chemical system", order.map((n) => [n, name(whole[n])]), (value) => update(Number(value)));
    const first = order.find((n) => whole[n].system === asked) ?? order[0];
    choice.node.value = first;
    main.append(PF.section("Hulls", null, PF.el("div", { class: "choices" }, choice.whole), note,
      PF.el("div", { class: "grid" }, PF.el("div", { class: "panel seven" }, plot), PF.el("div", { class: "panel five" }, table))));
    update(first);
  }
  if (lacking.length) {
    const rows = lacking.slice(0, 500).map((h) => PF.el("tr", {}, PF.el("td", { text: name(h) }),
      PF.el("td", { class: "number", text: String(h.row.length) }), PF.el("td", { text: h.missing.join(", ") })));
    main.append(PF.section("Systems without a hull", `${lacking.length} chemical systems have elements of which the campaign has no structure by itself: screen these too.`,
      PF.el("div", { class: "panel scroll" }, PF.el("table", { class: "plain" },
        PF.el("thead", {}, PF.el("tr", {}, PF.el("th", { text: "system" }), PF.el("th", { class: "number", text: "structures" }), PF.el("th", { text: "missing" }))),
        PF.el("tbody", {}, rows)))));
  }
})(window.PF);
