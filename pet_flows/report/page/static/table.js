"use strict";
/* The table of all structures: sorted by any column, filtered by what is chosen above it. */
(function (PF) {
  const R = window.ROWS, SERIES = window.SERIES;
  /** series of one quantity, of all levels and potentials, by `property.name` */
  const quantities = new Map();
  for (const series of SERIES) {
    const key = `${series.property}.${series.name}`;
    if (!quantities.has(key)) quantities.set(key, []);
    quantities.get(key).push(series);
  }
  PF.quantities = quantities;

  /** What says most about a potential, if it is there for half as many as anything else. */
  const TELLING = ["eos.v0_per_atom", "elastic.k_vrh", "relax.volume_per_atom", "phonon.spectrum_w1"];
  PF.telling = (function () {
    const weighed = SERIES.filter((s) => !s.raw), most = Math.max(0, ...weighed.map((s) => s.row.length));
    const many = (key) => quantities.get(key).some((s) => 2 * s.row.length >= most);
    const chosen = TELLING.filter((key) => quantities.has(key));
    const others = weighed.filter((s) => s.dft.some((v) => v !== null)).map((s) => `${s.property}.${s.name}`);
    return [...new Set([...chosen.filter(many), ...others.filter(many), ...chosen, ...quantities.keys()])];
  })();

  const meV = (value) => (value === null ? null : 1000 * value);

  /** Rows as Tabulator takes them: columns by number, errors of the first level that a row has. */
  function rowsOf() {
    const n = R.material.length, rows = new Array(n);
    for (let k = 0; k < n; k += 1) {
      rows[k] = {
        id: k, material: R.material[k], formula: R.formula[k], group: R.group[k], state: R.state[k],
        potential: R.potential[k], matched: R.matched[k], above: meV(R.above[k]), dft: meV(R.above_dft[k]),
      };
    }
    R.heads.forEach((head, column) => {
      R.cells[head.key].forEach((value, k) => { rows[k][`c${column}`] = value; });
    });
    [...quantities.values()].forEach((group, column) => {
      for (const series of group) {
        series.row.forEach((row, k) => { rows[row][`e${column}`] ??= series.difference[k]; });
      }
    });
    return rows;
  }

  const numeric = (field, title, unit, digits, signed) => ({
    field, title: PF.shown(unit ? `${title}\n${unit}` : title),  // Tabulator would read markup
     hozAlign: "right", headerHozAlign: "right", minWidth: 96,
    sorter: "number", sorterParams: { alignEmptyValues: "bottom" },
    formatter: (cell) => (signed ? PF.signed : PF.number)(cell.getValue(), digits),
  });

  function isYesNo(key) {
    const value = R.cells[key].find((v) => v !== null);
    return typeof value === "boolean";
  }

  const shortName = (name) => name.replaceAll("_", " ");

  /** Columns of a view: what every view has, then those of a property, or the first ones of each. */
  function columnsOf(view) {
    const columns = [
      {
        field: "material", title: "structure", frozen: !PF.narrow, minWidth: PF.narrow ? 110 : 130, widthGrow: 2,
        formatter: (cell) => PF.rowLink(cell.getData().id),
      },
      { field: "formula", title: "formula", minWidth: 90, formatter: (cell) => PF.formula(cell.getValue()) },
      { field: "group", title: "space group", minWidth: 124, formatter: (cell) => PF.group(cell.getValue()) },
      { field: "state", title: "state", minWidth: 118, formatter: (cell) => PF.state(cell.getValue()),
        tooltip: (event, cell) => PF.tip(R.problems[cell.getData().id]) },
    ];
    const common = columns.length;
    if (new Set(R.potential).size > 1) columns.push({ field: "potential", title: "potential", minWidth: 150 });
    if (SERIES.length) columns.push({ field: "matched", title: "matched by", minWidth: 104 });
    const count = {};
    R.heads.forEach((head, k) => {
      count[head.property] = (count[head.property] || 0) + 1;
      if (view === head.property || (view === "" && count[head.property] <= 1)) {
        const one = numeric(`c${k}`, view ? shortName(head.name) : `${head.property} ${shortName(head.name)}`, head.unit, 5);
        if (isYesNo(head.key)) Object.assign(one, { sorter: "boolean", sorterParams: {} });
        columns.push({ ...one, headerTooltip: () => PF.tip(head.meaning) });
      }
    });
    const keys = [...quantities.keys()], short = PF.telling.slice(0, 2).filter((key) => !quantities.get(key)[0].raw);
    for (const key of view === "" ? short : keys.filter((one) => quantities.get(one)[0].property === view)) {
      const [series] = quantities.get(key);
      columns.push({ ...numeric(`e${keys.indexOf(key)}`, `Δ ${shortName(series.name)}`, series.unit, 3, true),
        headerTooltip: () => PF.tip(`${key}: PET minus DFT`) });
    }
    if (view === "" && R.above.some((value) => value !== null)) {
      columns.push({ ...numeric("above", "above hull", "meV/atom", 3), headerTooltip: "in this campaign's own energies" });
    }
    if (view === "" && R.above_dft.some((value) => value !== null)) {
      columns.push({ ...numeric("dft", "above DFT's", "meV/atom", 3), headerTooltip: "above DFT's hull, which stays fixed" });
    }
    if (PF.narrow) {  // where there is space for three columns: an error, and the state
      const errors = columns.slice(common).filter((column) => column.field.startsWith("e"));
      const first = errors.slice(0, 1), state = columns[common - 1];
      return [columns[0], ...first, state, ...columns.filter((one, k) => k && one !== state && !first.includes(one))];
    }
    return columns;
  }

  /** Choices above the table: text, state, reason, matched by, level, potential. */
  function choices(changed) {
    const chosen = { text: "", state: "", reason: "", matched: "", level: "", potential: "" };
    const search = PF.el("input", {
      type: "search", placeholder: "name, formula or element", "aria-label": "search",
      on: { input: () => { chosen.text = search.value.trim(); changed(chosen); } },
    });
    const nodes = [PF.el("label", { class: "choice" }, PF.el("span", { text: "search" }), search)];
    const all = {
      state: [...new Set(R.state)], reason: [...new Set(R.reasons.flat())].filter(Boolean),
      matched: [...new Set(R.matched)].filter(Boolean), level: [...new Set(SERIES.map((s) => s.level))],
      potential: [...new Set(R.potential)],
    };
    const names = { state: "state", reason: "reason", matched: "matched by", level: "level of theory", potential: "potential" };
    for (const [key, values] of Object.entries(all)) {
      if (values.length < (key === "reason" ? 1 : 2)) continue;
      const options = [["", "any"], ...values.sort().map((value) => [value, value])];
      const one = PF.select(names[key], options, (value) => { chosen[key] = value; changed(chosen); });
      one.node.name = key;
      nodes.push(one.whole);
    }
    return { nodes, chosen, search };
  }

  function levels() {
    const found = new Map();
    for (const series of SERIES) for (const row of series.row) {
      if (!found.has(row)) found.set(row, new Set());
      found.get(row).add(series.level);
    }
    return found;
  }

  function accepts(chosen, levelOf) {
    const text = chosen.text.toLowerCase();
    const element = /^[A-Z][a-z]?$/.test(chosen.text) ? chosen.text : null;
    return (row) =>
      (!chosen.state || row.state === chosen.state) &&
      (!chosen.matched || row.matched === chosen.matched) &&
      (!chosen.potential || row.potential === chosen.potential) &&
      (!chosen.reason || R.reasons[row.id].includes(chosen.reason)) &&
      (!chosen.level || (levelOf.get(row.id) || new Set()).has(chosen.level)) &&
      (!text || (element && PF.elementsOf(row.id).includes(element)) ||
        (!element && `${row.material} ${row.formula} ${row.group}`.toLowerCase().includes(text)) ||
        (element && row.material.toLowerCase().includes(text)));
  }

  /** Section with the table; `PF.showRow` and `PF.searchFor` lead into it from elsewhere. */
  PF.structures = function (main) {
    const count = PF.el("p", { class: "note", role: "status" });
    const holder = PF.el("div", { id: "table" });
    const views = [["", "In short"], ...[...new Set(R.heads.map((h) => h.property))].map((p) => [p, p])];
    const chips = PF.el("div", { class: "chips", role: "group", "aria-label": "columns" });
    const levelOf = levels();
    const say = (shown) => {
      const n = R.material.length;
      count.textContent = shown === n ? `${n} structures` : `${shown} of ${n} structures`;
    };
    const asked = choices((chosen) => {
      const plain = Object.values(chosen).every((value) => !value);
      if (plain) table.clearFilter();
      else table.setFilter(accepts(chosen, levelOf));
    });
    const section = PF.section("Structures", null, PF.el("div", { class: "choices" }, asked.nodes), chips, count, holder,
      PF.narrow && PF.el("p", { class: "note", text: "The table scrolls sideways: more columns are on its right." }),
      PF.el("p", { class: "note" }, "All columns, with all digits: ", PF.el("a", { href: "table.csv", text: "table.csv" })));
    main.append(section);
    const n = R.material.length;
    const table = new Tabulator(holder, {
      data: rowsOf(), index: "id", columns: columnsOf(""), layout: "fitColumns", nestedFieldSeparator: false,
      height: n > 14 ? "560px" : false, placeholder: "No structure is like that", movableColumns: false,
      columnDefaults: { headerSortTristate: true, resizable: false, vertAlign: "middle" }, selectableRows: false,
      rowFormatter: (row) => row.getElement().classList.toggle("chosen", row.getData().id === PF.chosenRow),
    });
    table.on("dataFiltered", (filters, rows) => say(rows.length));
    PF.table = table;
    for (const [view, text] of views) {
      chips.append(PF.el("button", {
        type: "button", text, "aria-pressed": String(view === ""),
        on: {
          click: (event) => {
            for (const chip of chips.children) chip.setAttribute("aria-pressed", String(chip === event.target));
            table.setColumns(columnsOf(view));
          },
        },
      }));
    }
    say(n);

    PF.showRow = async function (row) {
      const before = PF.chosenRow;
      PF.chosenRow = row;
      if (!table.getRows("active").some((one) => one.getData().id === row)) reset();
      section.scrollIntoView({ behavior: "smooth", block: "start" });
      for (const id of [before, row]) {
        const one = id !== undefined && table.getRow(id);
        if (one) one.reformat();
      }
      await table.scrollToRow(row, "center", true);
    };
    function reset() {
      asked.search.value = "";
      for (const key of Object.keys(asked.chosen)) asked.chosen[key] = "";
      for (const node of section.querySelectorAll("select")) node.value = "";
      table.clearFilter();
    }
    PF.searchFor = function (text) {
      reset();
      asked.search.value = text;
      asked.search.dispatchEvent(new Event("input"));
      section.scrollIntoView({ behavior: "smooth", block: "start" });
    };
  };
})(window.PF);
