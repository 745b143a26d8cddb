"use strict";
/* Errors against DFT: one quantity at a time, at one level of theory, of one potential. */
(function (PF) {
  const R = window.ROWS, SERIES = window.SERIES, WORST = 10;

  const nameOf = (series) => `${series.property} ${series.name.replaceAll("_", " ")}`;

  /** Differences as they are shown: in the unit of errors, or in per cent of the reference. */
  function errorsOf(series, relative) {
    if (relative) return { values: series.relative.map((r) => (r === null ? null : 100 * r)), unit: "%" };
    const [factor, unit] = PF.errorScale(series.unit);
    return { values: series.difference.map((d) => factor * d), unit };
  }

  function said(series, n) {
    const row = series.row[n], unit = PF.shown(series.unit);
    const lines = [`<b>${PF.shown(R.material[row])}</b> ${PF.shown(R.formula[row])}`];
    if (series.dft[n] !== null) {
      lines.push(`PET ${PF.withUnit(PF.number(series.pet[n], 5), unit)}`, `DFT ${PF.withUnit(PF.number(series.dft[n], 5), unit)}`);
    }
    const [factor, plain] = PF.errorScale(series.unit), small = PF.shown(plain);
    const relative = series.relative[n] === null ? "" : ` (${PF.percent(series.relative[n])})`;
    lines.push(`error ${PF.withUnit(PF.signed(factor * series.difference[n], 3), small)}${relative}`);
    return lines.join("<br>");
  }

  /** PET against DFT with the line of agreement; for a distance, how large it is in order. */
  function drawParity(node, series) {
    const pairs = series.dft.some((value) => value !== null);
    PF.draw(node, (c) => {
      if (!pairs) {
        const errors = errorsOf(series, false);
        return PF.cumulative(c, errors.values, `${series.name.replaceAll("_", " ")}${errors.unit ? ` (${errors.unit})` : ""}`);
      }
      const unit = series.unit ? ` (${series.unit})` : "";
      const [low, high] = PF.extent([...PF.extent(series.pet), ...PF.extent(series.dft)]);
      const margin = 0.05 * (high - low) || Math.abs(high) * 0.05 || 1;
      const range = [low - margin, high + margin];
      const data = PF.points(c, series.dft, series.pet, series.row, (n) => said(series, n), (n) => Math.abs(series.difference[n]));
      const differs = new Set(series.differs);
      if (differs.size && data.length === 1) {
        data[0].marker.symbol = series.row.map((_, n) => (differs.has(n) ? "circle-open" : "circle"));
      }
      const line = { type: "line", x0: range[0], y0: range[0], x1: range[1], y1: range[1], layer: "below", line: { color: c.grey, width: 1 } };
      return {
        data,
        layout: PF.layout(c, `DFT ${series.level}${unit}`, `PET${unit}`, {
          shapes: [line], xaxis: { range, constrain: "domain" }, yaxis: { range, scaleanchor: "x", constrain: "domain" },
        }),
      };
    }, (row) => PF.showRow(row));
  }

  /** What the errors of a series are set beside: its name, unit, and factor to that. */
  function expectation(series, of) {
    if (of === "spread") return { what: "spread over the rotations", unit: "meV/atom", plain: "eV", factor: 1000 };
    const [plain, unit, factor] = {
      forces: ["eV/Å", "eV/Å", 1], stress: ["GPa", "GPa", 1],
    }[series.expected] || ["eV", "meV/atom", 1000];
    return { what: "uncertainty that the model states", unit, plain, factor };
  }

  function drawCalibration(node, series, of) {
    const errors = series.summary.left || series.difference, said_ = series[of];
    const known = said_.map((s, n) => n).filter((n) => said_[n] > 0 && errors[n]);
    const [factor, unit] = PF.errorScale(series.unit), beside = expectation(series, of);
    const x = known.map((n) => beside.factor * said_[n]), y = known.map((n) => factor * Math.abs(errors[n]));
    PF.draw(node, (c) => {
      const rows = known.map((n) => series.row[n]);
      const data = x.length > 4000
        ? []
        : PF.points(c, x, y, rows, (k) => `${said(series, known[k])}<br>${of} ${PF.number(x[k], 3)} ${PF.shown(beside.unit)}`, () => 0);
      const bins = series.summary.calibration[of].bins;
      data.push({
        type: "scatter", mode: "lines+markers", x: bins.map((b) => beside.factor * b.uncertainty), y: bins.map((b) => factor * b.error),
        line: { color: c.ink, width: 1.5 }, marker: { color: c.ink, size: 8, symbol: "diamond" },
        hovertemplate: `rms of a group of similar ${of}: %{y:.3g}<extra></extra>`,
      });
      const [low, high] = PF.extent(x.filter((v) => v > 0));
      const shapes = series.unit === beside.plain
        ? [{ type: "line", x0: low, y0: low, x1: high, y1: high, line: { color: c.grey, width: 1, dash: "dot" } }]
        : [];
      return {
        data,
        layout: PF.layout(c, `${beside.what} (${beside.unit})`, `|error| (${unit || "1"})`, {
          shapes, xaxis: { type: "log", dtick: "D2" }, yaxis: { type: "log", dtick: "D2" },
        }),
      };
    }, (row) => PF.showRow(row));
  }

  function worst(series) {
    const digits = PF.narrow ? 4 : 5;
    const order = Array.from(series.row.keys()).sort((a, b) => Math.abs(series.difference[b]) - Math.abs(series.difference[a]));
    const [factor, unit] = PF.errorScale(series.unit);
    const pairs = series.dft.some((value) => value !== null);
    const head = ["structure", ...(pairs ? ["PET", "DFT"] : []), `error${unit ? ` (${unit})` : ""}`, ...(pairs ? ["relative"] : [])];
    return PF.el("div", { class: "scroll" }, PF.el("table", { class: "plain" },
      PF.el("thead", {}, PF.el("tr", {}, head.map((text, k) => PF.el("th", { text, class: k ? "number" : null })))),
      PF.el("tbody", {}, order.slice(0, WORST).map((n) => {
        const numbers = [
          ...(pairs ? [PF.number(series.pet[n], digits), PF.number(series.dft[n], digits)] : []),
          PF.signed(factor * series.difference[n], 3), ...(pairs ? [PF.percent(series.relative[n])] : []),
        ];
        return PF.el("tr", {}, PF.el("td", {}, PF.rowLink(series.row[n]), " ",
          PF.el("span", { class: "small" }, PF.formula(R.formula[series.row[n]]))),
        numbers.map((text) => PF.el("td", { class: "number", text })));
      }))));
  }

  function strip(series) {
    const s = series.summary, [factor, unit] = PF.errorScale(series.unit);
    const number = (value, signed) => PF.withUnit((signed ? PF.signed : PF.number)(factor * value, 3), unit);
    const entries = [
      [String(s.n), s.n === 1 ? "structure" : "structures"],
      [number(s.mae), s.interval ? `mean |error|, 95 %: ${PF.number(factor * s.interval[0], 3)} to ${PF.number(factor * s.interval[1], 3)}` : "mean |error|"],
      [number(s.bias, true), "mean error"], [number(s.rmse), "root mean square"], [number(s.median), "median |error|"],
      [number(s.largest), "largest |error|"], s.mape !== null && [PF.percent(s.mape).replace("+", ""), "mean |relative error|"],
      s.r2 !== null && [PF.number(s.r2, 3), "R²"],
    ];
    return entries.filter(Boolean).map(([value, text]) => PF.el("div", {}, PF.el("b", { text: value }), PF.el("span", { class: "small", text })));
  }

  function calibrationNote(series, of) {
    const s = series.summary.calibration[of];
    const rank = s.rank_correlation === null ? "" : `Rank correlation ${PF.number(s.rank_correlation, 2)}. `;
    const comparable = series.unit === expectation(series, of).plain;
    const dotted = comparable ? ` Dotted: ${of} and error are equal.` : "";
    const within = comparable && of === "uncertainty"
      ? ` ${PF.number(100 * s.within[0], 2)} % of errors are within it, ${PF.number(100 * s.within[1], 2)} % within twice (68 and 95 % if it were a standard deviation).` : "";
    const shifted = series.summary.left ? " Errors are those after the shift by element that is best." : "";
    return `${rank}Each point is a structure; diamonds are root mean squares of groups of similar ${of}.${dotted}${within}${shifted}`;
  }

  /** Options of the select of quantities, by property. */
  function options() {
    const groups = new Map();
    for (const [key, [series]] of PF.quantities) {
      const group = series.raw ? "raw, zeros differ" : series.property;
      if (!groups.has(group)) groups.set(group, []);
      const n = PF.quantities.get(key).reduce((sum, one) => sum + one.row.length, 0);
      groups.get(group).push([key, `${nameOf(series)} (${n})`]);
    }
    return [...groups];
  }

  PF.against = function (main) {
    if (!SERIES.length) return;
    const first = PF.quantities.get(PF.telling[0])[0];
    const chosen = { key: `${first.property}.${first.name}`, level: first.level, potential: first.potential, relative: false };
    const selects = PF.el("div", { class: "choices" });
    const numbers = PF.el("div", { class: "strip" });
    const note = PF.el("p", { class: "note" });
    const panel = (kind, title, ...children) => PF.el("div", { class: `panel ${kind}` }, PF.el("h3", { text: title }), ...children);
    const parity = PF.plot(400, "PET against DFT"), histogram = PF.plot(400, "errors");
    const table = PF.el("div"), periodic = PF.el("div"), said_ = PF.el("p", { class: "note" });
    const cumulative = PF.plot(320, "part of structures within an error");
    const within = panel("half", "Within how much", PF.el("p", { class: "note", text: "Part of the structures whose |error| is at most this." }), cumulative);
    const calibrations = [["uncertainty", "Does the model's own uncertainty tell the error?"],
      ["spread", "Does the spread tell the error?"]].map(([of, title]) => {
      const plot = PF.plot(320, `${of} against error`), told = PF.el("p", { class: "note" });
      return { of, plot, told, panel: panel("half", title, told, plot) };
    });
    main.append(PF.section("Against DFT", null, selects, numbers, note, PF.el("div", { class: "grid" },
      panel("half", "Parity", PF.el("p", { class: "note", text: "A click on a point shows its row in the table." }), parity),
      panel("half", "Errors", PF.el("p", { class: "note", text: "PET minus DFT; the dashed line is the mean." }), histogram),
      panel("half", "The ten largest errors", table),
      panel("half", "By element", said_, periodic),
      within, ...calibrations.map((one) => one.panel))));

    function update() {
      const group = PF.quantities.get(chosen.key);
      const series = group.find((s) => s.level === chosen.level && s.potential === chosen.potential) ||
        group.find((s) => s.potential === chosen.potential) || group[0];
      Object.assign(chosen, { level: series.level, potential: series.potential });
      const several = (key) => [...new Set(group.map((s) => s[key]))];
      const choose = (label, key, values) => {
        if (values.length < 2) return null;
        const one = PF.select(label, values.map((v) => [v, v]), (value) => { chosen[key] = value; update(); });
        one.node.value = chosen[key];
        return one.whole;
      };
      const quantity = PF.select("quantity", options(), (value) => { chosen.key = value; update(); });
      quantity.node.value = chosen.key;
      quantity.node.name = "quantity";
      const hasRelative = series.relative.some((value) => value !== null);
      const measure = hasRelative && PF.select("errors", [["", "absolute"], ["1", "relative"]], (v) => { chosen.relative = Boolean(v); update(); });
      if (measure) measure.node.value = chosen.relative ? "1" : "";
      selects.replaceChildren(...[quantity.whole, choose("level of theory", "level", several("level")),
        choose("potential", "potential", several("potential")), measure && measure.whole].filter(Boolean));
      numbers.replaceChildren(...strip(series));
      const raw = series.raw ? " Raw energies: PET and DFT have different zeros, and their difference is no error." : "";
      const across = series.differs.length ? ` Open circles: ${series.differs.length} whose levels of theory are not the same.` : "";
      note.replaceChildren(`DFT: ${window.CAMPAIGN.levels[series.level] || series.level}.${raw}${across} All of them with all digits: `,
        PF.el("a", { href: "comparisons.csv", text: "comparisons.csv" }));

      const errors = errorsOf(series, chosen.relative && hasRelative);
      const known = errors.values.filter((v) => v !== null);
      const mean = known.reduce((a, b) => a + b, 0) / known.length;
      const axis = `error of ${nameOf(series)} (${errors.unit || "1"})`;
      drawParity(parity, series);
      PF.draw(histogram, (c) => PF.histogram(c, known, axis, [[0, "solid"], [mean, "dash"]]));
      PF.draw(cumulative, (c) => PF.cumulative(c, known, `|${axis}|`));
      table.replaceChildren(worst(series));
      said_.textContent = `Mean |error| of the structures that hold an element, in ${errors.unit || "its unit"}. A click shows them.`;
      PF.periodic(periodic, PF.byElement(series.row, errors.values.map((v) => (v === null ? null : Math.abs(v)))), errors.unit, PF.searchFor);
      const shown = calibrations.filter((one) => series.summary.calibration[one.of]);
      for (const one of calibrations) one.panel.hidden = !shown.includes(one);
      within.classList.toggle("half", shown.length === 1);
      for (const one of shown) {
        one.told.textContent = calibrationNote(series, one.of);
        drawCalibration(one.plot, series, one.of);
      }
    }
    update();
  };
})(window.PF);
