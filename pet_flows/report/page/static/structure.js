"use strict";
/* The page of one structure, which the part of the address after # names. */
(function (PF) {
  const main = PF.head("Structure");
  const id = location.hash.slice(1);

  addEventListener("hashchange", () => location.reload());
  if (!/^[0-9a-f]{12}$/.test(id)) {
    main.append(PF.el("p", { class: "note", text: "No structure is named in this address: choose one in the table of the overview." }));
    return;
  }
  document.body.append(PF.el("script", {
    src: `data/${id.slice(0, 2)}/${id}.js`,
    on: {
      load: () => show(window.STRUCTURE),
      error: () => main.append(PF.el("p", { class: "note", text: "This structure has no page: write the report again with more --pages." })),
    },
  }));

  const panel = (kind, title, ...children) =>
    PF.el("div", { class: `panel ${kind}` }, title && PF.el("h3", { text: title }), ...children);

  const day = (text) => (text ? String(text).slice(0, 10) : null);

  function show(S) {
    document.title = `${S.material} · ${window.CAMPAIGN.name}`;
    const groups = S.spacegroup && (S.spacegroup.final || S.spacegroup.input);
    main.append(
      PF.el("section", {},
        PF.el("p", { class: "small" }, PF.el("a", { href: "index.html", text: "Overview" }), " / structure"),
        PF.el("h2", {}, S.material || "no identifier", " ", PF.el("span", { class: "kindly" }, PF.formula(S.formula)))),
      PF.el("div", { class: "grid", id: "first" }, viewer(S), panel("half", "What it is", PF.facts([
        ["state", PF.state(S.state)], ["potential", S.potential],
        ["space group", groups ? `${PF.number(groups.loose)} at 0.1 Å, ${PF.number(groups.tight)} at 10⁻⁵ Å` : null],
        ["atoms", PF.number(S.nsites)], ["volume", S.volume_per_atom && `${PF.number(S.volume_per_atom, 6)} Å³/atom`],
        ["density", S.density && `${PF.number(S.density, 5)} g/cm³`],
        ["not computed", S.absent.join(", ")],
        ["without DFT", alone(S.alone)],
      ]), PF.el("div", {}, S.records.map((r) => PF.el("p", { class: "small" }, `${r.property}: ${r.headline}`))))));
    const plots = PF.el("div", { class: "grid" });
    if (S.eos) plots.append(plotted(S.phonon ? "five" : "half", "Equation of state", 380, S.eos, PF.equationOfState, "eos"));
    if (S.phonon && (S.phonon.bands || S.phonon.dos)) {
      const kind = S.eos ? "seven" : "";
      plots.append(plotted(kind, "Phonons", 380, S.phonon, PF.phonons, "phonon"));
    }
    for (const one of S.lines) plots.append(plotted("half", one.title, 320, one, PF.lines, one.name));
    if (plots.children.length) main.append(PF.el("section", {}, plots));
    main.append(PF.section("Values", null, PF.el("div", { class: "grid" }, S.records.map((record) => values(S, record)))));
    if (S.references.length) main.append(PF.section("References", null, PF.el("div", { class: "grid" }, S.references.map((r) => reference(S, r)))));
    main.append(PF.section("Records", "Where each number comes from, and how it is seen again.",
      PF.el("div", { class: "grid" }, S.records.map((record) => provenance(S, record)))));
  }

  /** Why properties are without DFT, those of one reason together. */
  function alone(found) {
    const reasons = new Map();
    for (const { property, reason } of found) reasons.set(reason, [...(reasons.get(reason) || []), property]);
    return [...reasons].map(([reason, names]) => `${names.join(", ")}: ${reason}`).join("; ");
  }

  function plotted(kind, title, height, data, draw, name) {
    const node = PF.plot(height, title);
    node.id = `plot-${name}`;
    draw(node, data);
    return panel(kind, title, node);
  }

  function viewer(S) {
    if (window.CAMPAIGN.viewer) return panel("half", "Structure", PF.el("p", { class: "note", text: window.CAMPAIGN.viewer }));
    if (!S.viewer.length) return panel("half", "Structure", PF.el("p", { class: "note", text: "No structure could be read." }));
    const frame = PF.el("iframe", { title: "structure", src: `viewer.html#${S.page}/0`, loading: "lazy" });
    const chips = PF.el("div", { class: "chips" }, S.viewer.map((one, k) => PF.el("button", {
      type: "button", text: one.name, "aria-pressed": String(k === 0),
      on: {
        click: (event) => {
          for (const chip of chips.children) chip.setAttribute("aria-pressed", String(chip === event.target));
          frame.src = `viewer.html#${S.page}/${k}`;
        },
      },
    })));
    return panel("half", null, chips, PF.el("p", { class: "note", text: "Geometries that are the same are shown once." }), frame);
  }

  /** Numbers of a record, of the references beside it, and their errors. */
  function values(S, record) {
    const pairs = S.pairs.filter((pair) => pair.record === record.key);
    const known = new Map(record.values.map((value) => [value.name, value]));
    for (const pair of pairs) for (const value of pair.values || []) {
      if (!known.has(value.name)) known.set(value.name, { name: value.name, unit: value.unit, value: value.pet, meaning: "" });
    }
    const short = new Map(Object.entries(window.CAMPAIGN.levels).map(([name, whole]) => [whole, name]));
    const levels = pairs.map((pair) => S.references.find((r) => r.key === pair.reference))
      .map((r) => short.get(r.level) || r.functional);
    const head = PF.el("tr", {}, PF.el("th", { text: "" }), PF.el("th", { class: "number", text: "PET" }),
      levels.map((level) => [PF.el("th", { class: "number", text: `DFT ${level}` }), PF.el("th", { class: "number", text: "error" })]));
    const digits = PF.narrow ? 5 : 6;
    const rows = [...known.values()].map((value) => PF.el("tr", { title: value.meaning || null },
      PF.el("td", {}, PF.el("span", { text: value.name.replaceAll("_", " ") }), value.unit && PF.el("span", { class: "unit", text: value.unit })),
      PF.el("td", { class: "number", text: PF.number(value.value, digits) }),
      pairs.map((pair) => {
        const found = (pair.values || []).find((one) => one.name === value.name);
        return [PF.el("td", { class: "number", text: found ? PF.number(found.dft, digits) : "" }), PF.el("td", { class: "number" }, error(found))];
      })));
    return panel("half", record.title,
      record.state !== "ok" && PF.el("div", { class: "warning" }, PF.state(record.state), ` ${record.reason}: ${record.message}`),
      record.warnings.map((text) => PF.el("div", { class: "warning", text })),
      PF.el("div", { class: "scroll" }, PF.el("table", { class: "plain" }, PF.el("thead", {}, head), PF.el("tbody", {}, rows))),
      record.settings.length ? PF.el("details", {}, PF.el("summary", { text: "settings" }),
        PF.facts(record.settings.map((s) => [s.name, PF.withUnit(PF.number(s.value, 8), s.unit)]))) : null);
  }

  function error(found) {
    if (!found || found.difference === null) return "";
    const more = found.raw ? "zeros differ" : found.relative === null ? null : PF.percent(found.relative);
    return [PF.signed(found.difference, 3), more && PF.el("span", { class: "more" }, ` (${more})`)];
  }

  function link(S, key, text) {
    return S.documents ? PF.el("a", { href: `documents/${key}.json`, text }) : PF.el("span", { class: "mono", text });
  }

  function reference(S, r) {
    const pair = S.pairs.find((one) => one.reference === r.key), from = r.source;
    const where = [from.database, from.collection, from.name].filter(Boolean).join(" / ");
    const ways = { link: "the link in its own document", identifier: "its identifier", structure: "its structure" };
    return panel("half", `${r.property}, ${r.level}`, PF.facts([
      ["from", where], ["calculated by", from.uuid && `${from.uuid}${from.index === null ? "" : `, run ${from.index}`}`],
      ["folder", from.dir_name], ["cited as", from.citation], ["doi", PF.doi(from.doi)], ["licence", from.licence],
      ["completed", day(from.completed_at)], ["matched by", ways[pair.matched_by] || pair.matched_by],
      ["rmsd", pair.rmsd !== null ? PF.number(pair.rmsd, 3) : null], ["levels differ", pair.level_differs.join("; ")],
      ["known as", r.materials.join(", ")], ["document", link(S, r.key, r.key)],
    ]), [...new Set([...r.problems, ...(pair.warnings || [])])].map((text) => PF.el("div", { class: "warning", text })));
  }

  function provenance(S, record) {
    const p = record.provenance, spread = record.spread || {};
    return panel("half", record.property, PF.facts([
      ["document", link(S, record.key, record.key)],
      ["potential", `${record.potential.name}, ${record.potential.symmetrization}, ${record.potential.dtype}`],
      ["weights", PF.el("span", { class: "mono", text: `sha256 ${record.potential.sha256}` })],
      ["starts from", record.parent && link(S, record.parent, record.parent)],
      ["computed", `${PF.number(record.evaluations)} evaluations in ${PF.number(p.wall_time, 3)} s on ${p.device || "no device"} of ${p.host}, ${day(record.updated)}`],
      ["spread", spread.energy_per_atom ? `${PF.number(spread.energy_per_atom, 2)} eV/atom over the rotations` : null],
      ["uncertainty", record.uncertainty && `${PF.number(record.uncertainty.energy_per_atom, 2)} eV/atom, as the model itself says`],
    ]), PF.command(`pet-flows show ${record.key.slice(0, 12)}`));
  }
})(window.PF);
