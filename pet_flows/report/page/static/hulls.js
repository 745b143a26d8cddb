"use strict";
/* Stability within each chemical system: the campaign's own hull, and DFT's beside it. */
(function (PF) {
  const R = window.ROWS, HULLS = window.HULLS.hulls, main = PF.head("Hulls");

  if (!HULLS.length) {
    main.append(PF.section("Hulls", "No structure has an energy yet: compute relax or static."));
    return;
  }
  const several = new Set(R.potential).size > 1;
  const whole = HULLS.filter((h) => !h.missing.length), lacking = HULLS.filter((h) => h.missing.length);
  const name = (h) => h.system + (several ? `, ${h.potential}` : "");
  const plot = PF.plot(440, "hull"), table = PF.el("div", { class: "scroll" }), note = PF.el("p", { class: "note" });
  const asked = decodeURIComponent(location.hash.slice(1));
  const places = (side) => Array.from(side.above.keys());

  function say(side, n) {
    const row = side.row[n], formula = row === null ? side.formula[n] : R.formula[row];
    const title = row === null ? "not in the campaign" : PF.shown(R.material[row]);
    return `<b>${title}</b> ${PF.shown(formula)}<br>formation ${PF.number(side.formation[n], 4)} eV/atom` +
      `<br>${PF.number(1000 * side.above[n], 3)} meV/atom above the hull`;
  }

  /** Points of one side that `pick` chooses, at the places that `axes` gives. */
  function points(side, label, pick, axes, marker) {
    const all = places(side).filter(pick);
    return {
      mode: "markers", ...axes(side, all), customdata: all.map((n) => side.row[n] ?? undefined), text: all.map((n) => say(side, n)),
      hovertemplate: `%{text}<extra>${label}</extra>`, marker, showlegend: false,
    };
  }

  /** Elements: energies in order. Two elements: formation energies with the hull. Three: a triangle. */
  function drawn(h, c) {
    if (h.elements.length === 1) return ladder(h, c);
    const sides = [[h, "PET", c.pet, "solid", "circle"], ...(h.dft ? [[h.dft, "DFT", c.dft, "dash", "diamond"]] : [])];
    const markers = (color, symbol) => [{ color, size: 10, symbol }, { color: c.paper, size: 8, symbol, line: { color, width: 1.5 } }];
    if (h.elements.length === 2) {
      const axes = (side, all) => ({ x: all.map((n) => side.fractions[n][1]), y: all.map((n) => side.formation[n]) });
      const data = sides.flatMap(([side, label, color, dash, symbol]) => {
        const hull = places(side).filter((n) => side.stable[n]).sort((a, b) => side.fractions[a][1] - side.fractions[b][1]);
        const [full, open] = markers(color, symbol);
        return [
          { type: "scatter", mode: "lines", name: label, ...axes(side, hull), line: { color, width: 1.5, dash }, hoverinfo: "skip" },
          { type: "scatter", ...points(side, label, (n) => !side.stable[n], axes, open) },
          { type: "scatter", ...points(side, label, (n) => side.stable[n], axes, full) },
        ];
      });
      return {
        data,
        layout: PF.layout(c, `part of ${h.elements[1]} in ${h.system}`, "formation energy (eV/atom)", {
          xaxis: { range: [-0.03, 1.03] }, showlegend: sides.length > 1, margin: { l: 52, r: 10, t: 34, b: 44 },
        }),
      };
    }
    const axes = (side, all) => Object.fromEntries(["a", "b", "c"].map((axis, k) => [axis, all.map((n) => side.fractions[n][k])]));
    const axis = (title) => ({ title: { text: title }, color: c.ink, gridcolor: c.line, linecolor: c.grey });
    const [full, open] = markers(c.pet, "circle");
    return {
      data: [
        { type: "scatterternary", cliponaxis: false, ...points(h, "PET", (n) => !h.stable[n], axes, open) },
        { type: "scatterternary", cliponaxis: false, ...points(h, "PET", (n) => h.stable[n], axes, full) },
      ],
      layout: PF.layout(c, "", "", {
        ternary: { bgcolor: "rgba(0,0,0,0)", aaxis: axis(h.elements[0]), baxis: axis(h.elements[1]), caxis: axis(h.elements[2]) },
        margin: { l: 40, r: 40, t: 40, b: 40 },
      }),
    };
  }

  /** Structures of an element by their energy above the lowest, DFT's beside ours. */
  function ladder(h, c) {
    const order = places(h).sort((a, b) => h.above[a] - h.above[b]).slice(0, 40);
    const bars = (side, label, color, pairs) => ({
      type: "bar", name: label, x: pairs.map(([k]) => k), y: pairs.map(([, n]) => 1000 * side.above[n]),
      customdata: pairs.map(([, n]) => side.row[n]), text: pairs.map(([, n]) => say(side, n)), textposition: "none",
      hovertemplate: `%{text}<extra>${label}</extra>`, marker: { color },
    });
    const data = [bars(h, "PET", c.pet, order.map((n, k) => [k, n]))];
    if (h.dft) {
      const beside = new Map(h.dft.row.map((row, n) => [row, n]));
      data.push(bars(h.dft, "DFT", c.grey, order.map((n, k) => [k, beside.get(h.row[n])]).filter(([, n]) => n !== undefined)));
    }
    return {
      data,
      layout: PF.layout(c, "", "energy above the lowest (meV/atom)", {
        xaxis: { tickvals: order.map((_, k) => k), ticktext: order.map((n) => PF.shown(R.material[h.row[n]])), showgrid: false },
        showlegend: data.length > 1, margin: { l: 52, r: 10, t: 34, b: 44 },
      }),
    };
  }

  function listed(h) {
    const order = places(h).sort((a, b) => h.above[a] - h.above[b]);
    const compound = h.elements.length > 1, beside = compound && h.above_dft.some((value) => value !== null);
    // of an element both hulls have the same zero: what DFT says of the crystal itself is beside it
    const twins = !compound && h.dft ? new Map(h.dft.row.map((row, n) => [row, h.dft.above[n]])) : null;
    const head = [["structure"], compound && ["formula"], ["space group"], compound && ["formation, eV/atom", "number"],
      [compound ? "above hull, meV/atom" : "above lowest, meV/atom", "number"], twins && ["by DFT", "number"], beside && ["above DFT's hull, meV/atom", "number"]].filter(Boolean);
    const meV = (value) => (value === null ? "–" : PF.number(1000 * value, 4));
    return PF.el("table", { class: "plain" },
      PF.el("thead", {}, PF.el("tr", {}, head.map(([text, kind]) => PF.el("th", { text, class: kind || null })))),
      PF.el("tbody", {}, order.slice(0, 200).map((n) => PF.el("tr", {}, PF.el("td", {}, PF.rowLink(h.row[n])),
        compound && PF.el("td", {}, PF.formula(R.formula[h.row[n]])), PF.el("td", {}, PF.group(R.group[h.row[n]])),
        compound && PF.el("td", { class: "number", text: PF.number(h.formation[n], 4) }),
        PF.el("td", { class: "number", text: h.stable[n] ? "stable" : meV(h.above[n]) }),
        twins && PF.el("td", { class: "number", text: meV(twins.get(h.row[n]) ?? null) }),
        beside && PF.el("td", { class: "number", text: meV(h.above_dft[n]) })))));
  }

  /** How well what is stable is told, for each potential. */
  function stability(found) {
    return found.map((one) => {
      const entries = [[String(one.n), "structures with a reference"], [PF.number(one.f1, 3), "F1 of stable"], [PF.number(one.precision, 3), "precision"],
        [PF.number(one.recall, 3), "recall"], [PF.number(one.daf, 3), "discovery acceleration"],
        [one.mae === null ? "–" : `${PF.number(1000 * one.mae, 3)} meV/atom`, "mean |error| above the hull"]];
      return PF.el("div", {}, PF.el("p", { class: "note", text: `${one.potential} against ${one.level}` }), PF.el("div", { class: "strip" },
        entries.map(([value, text]) => PF.el("div", {}, PF.el("b", { text: value }), PF.el("span", { class: "small", text })))));
    });
  }

  function update(number) {
    const h = whole[number];
    note.textContent = `Energies of ${h.source} with ${h.potential}. ` + (h.dft
      ? "Each side has its own elements as zero. Above DFT's hull: that hull stays as it is, and the formation energy beside it is PET's."
      : "The hull is of the structures in this campaign; there are no energies of DFT for all of its elements.");
    plot.hidden = h.elements.length > 3;
    if (!plot.hidden) PF.draw(plot, (c) => drawn(h, c), (row) => { const to = PF.pageOf(row); if (to) location.href = to; });
    table.replaceChildren(listed(h));
  }

  const told = window.HULLS.stability;
  if (told.length) {
    main.append(PF.section("Stable or not", "On DFT's hull, which stays fixed. What the potential gives no energy for, it calls unstable.", stability(told)));
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
