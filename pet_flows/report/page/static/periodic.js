"use strict";
/* A periodic table whose colours are a number for each element. */
(function (PF) {
  /** period → first column of each run and its elements; rows 9 and 10 are lanthanides, actinides */
  const RUNS = [
    [1, 1, "H"], [1, 18, "He"], [2, 1, "Li Be"], [2, 13, "B C N O F Ne"], [3, 1, "Na Mg"],
    [3, 13, "Al Si P S Cl Ar"], [4, 1, "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr"],
    [5, 1, "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe"], [6, 1, "Cs Ba"],
    [6, 4, "Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn"], [7, 1, "Fr Ra"],
    [7, 4, "Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"],
    [8, 4, "La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu"],
    [9, 4, "Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr"],
  ];
  const elements = new Map();

  /** Elements in the formula of a row, each once. */
  PF.elementsOf = function (row) {
    const text = window.ROWS.formula[row];
    if (!elements.has(text)) elements.set(text, [...new Set(text.match(/[A-Z][a-z]?/g) || [])]);
    return elements.get(text);
  };

  /** Mean of values over the structures that hold an element: symbol → {mean, n}. */
  PF.byElement = function (rows, values) {
    const found = new Map();
    rows.forEach((row, k) => {
      const value = values[k];
      if (value === null || value === undefined) return;
      for (const symbol of PF.elementsOf(row)) {
        const one = found.get(symbol) || { sum: 0, n: 0 };
        one.sum += value;
        one.n += 1;
        found.set(symbol, one);
      }
    });
    for (const one of found.values()) one.mean = one.sum / one.n;
    return found;
  };

  /** Draw the table into a node; `click` is given a symbol. */
  PF.periodic = function (node, found, unit, click) {
    const means = [...found.values()].map((one) => one.mean);
    const [low, high] = PF.extent(means);
    const part = (value) => (high > low ? (value - low) / (high - low) : 0.5);
    const table = PF.el("div", { class: "periodic" });
    for (const [period, first, symbols] of RUNS) {
      symbols.split(" ").forEach((symbol, k) => {
        const cell = PF.el("div", { text: symbol });
        cell.style.gridArea = `${period} / ${first + k}`;
        const one = found.get(symbol);
        if (one) {
          const p = part(one.mean);
          cell.className = "has";
          cell.style.background = `color-mix(in oklab, var(--pet) ${Math.round(12 + 88 * p)}%, var(--paper))`;
          cell.style.color = p > 0.45 ? "var(--paper)" : "var(--ink)";
          cell.append(PF.el("small", { text: PF.number(one.mean, 2) }));
          cell.title = `${symbol}: ${PF.withUnit(PF.number(one.mean, 4), unit)}, mean of ${one.n}`;
          cell.tabIndex = 0;
          cell.addEventListener("click", () => click(symbol));
          cell.addEventListener("keydown", (event) => event.key === "Enter" && click(symbol));
        }
        table.append(cell);
      });
    }
    const bar = PF.el("i");
    bar.style.background =
      "linear-gradient(90deg, color-mix(in oklab, var(--pet) 12%, var(--paper)), var(--pet))";
    const scale = PF.el("div", { class: "scale" }, PF.number(low, 3), bar,
      PF.withUnit(PF.number(high, 3), unit));
    node.replaceChildren(table, means.length ? scale : PF.el("p", { class: "note", text: "No values." }));
  };
})(window.PF);
