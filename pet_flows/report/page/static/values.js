"use strict";
/* The campaign's own values: how they are distributed, against each other, and by element. */
(function (PF) {
  const R = window.ROWS;

  const titleOf = (head) => `${head.property} ${head.name.replaceAll("_", " ")}`;
  const axisOf = (head) => `${titleOf(head)}${head.unit ? ` (${head.unit})` : ""}`;

  /** Heads whose cells are numbers, by property, as options. */
  function options(heads) {
    const groups = new Map();
    for (const head of heads) {
      if (!groups.has(head.property)) groups.set(head.property, []);
      groups.get(head.property).push([head.key, axisOf(head)]);
    }
    return [...groups];
  }

  PF.values = function (main) {
    const heads = R.heads.filter((head) => R.cells[head.key].some((v) => typeof v === "number"));
    if (!heads.length) return;
    const byKey = new Map(heads.map((head) => [head.key, head]));
    const first = byKey.has("eos.v0_per_atom") ? "eos.v0_per_atom" : heads[0].key;
    const chosen = { y: byKey.has("eos.b0") ? "eos.b0" : heads[Math.min(1, heads.length - 1)].key, x: first };
    const scatter = PF.plot(360, "two values against each other"), histogram = PF.plot(360, "distribution");
    const periodic = PF.el("div"), note = PF.el("p", { class: "note" });
    const panel = (kind, title, ...children) => PF.el("div", { class: `panel ${kind}` }, PF.el("h3", { text: title }), ...children);
    const y = PF.select("value", options(heads), (value) => { chosen.y = value; update(); });
    const x = PF.select("against", options(heads), (value) => { chosen.x = value; update(); });
    y.node.value = chosen.y;
    x.node.value = chosen.x;
    main.append(PF.section("Values", "What was computed, with or without references.",
      PF.el("div", { class: "choices" }, y.whole, x.whole),
      PF.el("div", { class: "grid" }, panel("half", "One against the other", scatter), panel("half", "Distribution", histogram),
        panel("two-thirds", "By element", note, periodic), PF.el("div", { class: "panel third", id: "extremes" }))));

    function text(n, one, other) {
      const line = (head) => `${PF.shown(titleOf(head))} ${PF.withUnit(PF.number(R.cells[head.key][n], 5), head.unit)}`;
      return `<b>${PF.shown(R.material[n])}</b> ${PF.shown(R.formula[n])}<br>${line(one)}<br>${line(other)}`;
    }

    function update() {
      const one = byKey.get(chosen.y), other = byKey.get(chosen.x);
      const numbers = (head) => R.cells[head.key].map((v) => (typeof v === "number" ? v : null));
      const ys = numbers(one), xs = numbers(other), rows = Array.from(ys.keys());
      const known = ys.filter((v) => v !== null);
      const mean = known.reduce((a, b) => a + b, 0) / (known.length || 1);
      PF.draw(scatter, (c) => ({
        data: PF.points(c, xs, ys, rows, (n) => text(n, one, other), (n) => Math.abs(ys[n] - mean)),
        layout: PF.layout(c, axisOf(other), axisOf(one)),
      }), (row) => PF.showRow(row));
      PF.draw(histogram, (c) => PF.histogram(c, known, axisOf(one)));
      note.textContent = `Mean ${titleOf(one)} of the structures that hold an element. A click shows them.`;
      PF.periodic(periodic, PF.byElement(rows, ys), one.unit, PF.searchFor);
      const order = rows.filter((n) => ys[n] !== null).sort((a, b) => ys[a] - ys[b]);
      const list = (title, picked) => [PF.el("h3", { text: title }), PF.el("table", { class: "plain" }, picked.map((n) =>
        PF.el("tr", {}, PF.el("td", {}, PF.rowLink(n)), PF.el("td", { class: "number", text: PF.number(ys[n], 5) }))))];
      const unit = one.unit ? ` (${one.unit})` : "", n = Math.min(5, Math.ceil(order.length / 2));
      const smallest = order.slice(0, Math.min(5, order.length - n));  // none of the largest again
      document.getElementById("extremes").replaceChildren(...list(`Largest${unit}`, order.slice(order.length - n).reverse()),
        ...(smallest.length ? list(`Smallest${unit}`, smallest) : []));
    }
    update();
  };
})(window.PF);
