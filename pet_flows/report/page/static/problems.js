"use strict";
/* What is not ok, and what stands without a partner, each with its reason. */
(function (PF) {
  const R = window.ROWS, ALONE = window.ALONE, main = PF.head("Problems");

  function counts(title, reasons, empty) {
    const found = new Map();
    for (const reason of reasons) found.set(reason, (found.get(reason) || 0) + 1);
    const rows = [...found].sort((a, b) => b[1] - a[1]);
    return PF.el("div", { class: "panel half" }, PF.el("h3", { text: title }), rows.length
      ? PF.el("table", { class: "plain" }, rows.slice(0, 30).map(([reason, n]) =>
        PF.el("tr", {}, PF.el("td", { text: reason }), PF.el("td", { class: "number", text: String(n) }))))
      : PF.el("p", { class: "note", text: empty }));
  }

  function listed(title, note, data, columns) {
    if (!data.length) return;
    const holder = PF.el("div");
    main.append(PF.section(title, note, PF.el("p", {}), holder));
    return new Tabulator(holder, {
      data, columns, layout: "fitColumns", nestedFieldSeparator: false, height: data.length > 14 ? "480px" : false,
      columnDefaults: { headerSortTristate: true, resizable: false, minWidth: 110, headerFilter: "input" }, selectableRows: false,
    });
  }

  const bad = [...R.state.keys()].filter((n) => R.state[n] !== "ok");
  const materials = ALONE.filter((one) => one.what !== "reference");
  const references = ALONE.filter((one) => one.what === "reference");
  main.append(PF.section("Reasons", null, PF.el("div", { class: "grid" },
    counts("Records that are not ok", R.reasons.flat().map((r) => r || "no reason"), "All records are ok."),
    counts("Records and references without a partner", ALONE.map((one) => one.reason),
      window.CAMPAIGN.n_comparisons ? "All of them have one." : "Nothing was compared yet."))));

  const formula = { title: "formula", field: "formula", widthGrow: 1, formatter: (cell) => PF.formula(cell.getValue()) };
  const reason = { field: "reason", widthGrow: 4, minWidth: 150, formatter: "textarea" };
  const narrow = { minWidth: 84 };
  /** Where there is space for three columns, the formula is below the name. */
  const named = (node, text) => (PF.narrow ? PF.el("div", {}, node, PF.el("div", { class: "small" }, PF.formula(text))) : node);
  const structure = {
    title: "structure", field: "row", minWidth: PF.narrow ? 100 : 140, headerFilter: false,
    sorter: (a, b) => String(R.material[a] ?? "").localeCompare(String(R.material[b] ?? "")),
    formatter: (cell) => named(PF.rowLink(cell.getValue()), cell.getData().formula),
  };
  const columns = (...all) => all.filter((one) => !PF.narrow || one !== formula);
  listed("Not ok", "Structures whose records failed, did not converge, or are not there yet.",
    bad.map((n) => ({ row: n, formula: R.formula[n], state: R.state[n], reason: R.problems[n] })), columns(
      structure, formula, { title: "state", field: "state", ...narrow, formatter: (cell) => PF.state(cell.getValue()) },
      { ...reason, title: "what" }));
  listed("Records without DFT", "No reference was found, or the two are not comparable.", materials, columns(
    structure, formula, { title: "property", field: "property", ...narrow }, { ...reason, title: "reason" }));
  listed("References without a record", "They are in the store, and nothing of this campaign is beside them.", references, columns(
    { title: "known as", field: "known", minWidth: PF.narrow ? 100 : 140, widthGrow: 2, formatter: (cell) => named(document_(cell.getData()), cell.getData().formula) },
    formula, { title: "property", field: "property", ...narrow }, { title: "from", field: "from", widthGrow: 2, minWidth: 110, formatter: (cell) => source(cell.getData()) },
    { ...reason, title: "reason", minWidth: 130 }));

  /** What a reference is known as, linked to its document where that is in the folder. */
  function document_(one) {
    const text = one.known || one.key.slice(0, 12);
    return one.document ? PF.el("a", { href: `documents/${one.key}.json`, text }) : PF.el("span", { text, title: one.key });
  }

  function source(one) {
    return PF.el("span", {}, one.from || "", one.doi && PF.el("span", {}, one.from ? ", " : "", PF.doi(one.doi)));
  }
})(window.PF);
