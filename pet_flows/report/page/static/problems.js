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

  const structure = { title: "structure", field: "row", minWidth: 140, headerFilter: false, sorter: (a, b) =>
    String(R.material[a] ?? "").localeCompare(String(R.material[b] ?? "")), formatter: (cell) => PF.rowLink(cell.getValue()) };
  listed("Not ok", "Structures whose records failed, did not converge, or are not there yet.",
    bad.map((n) => ({ row: n, formula: R.formula[n], state: R.state[n], problems: R.problems[n] })), [
      structure, { title: "formula", field: "formula", formatter: (cell) => PF.formula(cell.getValue()) },
      { title: "state", field: "state", formatter: (cell) => PF.state(cell.getValue()) },
      { title: "what", field: "problems", widthGrow: 4, formatter: "textarea" },
    ]);
  listed("Records without DFT", "No reference was found, or the two are not comparable.", materials, [
    structure, { title: "formula", field: "formula", formatter: (cell) => PF.formula(cell.getValue()) },
    { title: "property", field: "property" }, { title: "reason", field: "reason", widthGrow: 4, formatter: "textarea" },
  ]);
  listed("References without a record", "They are in the store, and nothing of this campaign is beside them.", references, [
    { title: "known as", field: "material" }, { title: "formula", field: "formula", formatter: (cell) => PF.formula(cell.getValue()) },
    { title: "property", field: "property" }, { title: "reason", field: "reason", widthGrow: 3, formatter: "textarea" },
    { title: "reference", field: "key", widthGrow: 2 },
  ]);
})(window.PF);
