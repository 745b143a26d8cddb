"use strict";
/* Equations of state, phonons and other curves of one structure, DFT dashed over PET. */
(function (PF) {
  const GREEK = { GAMMA: "Γ", DELTA: "Δ", LAMBDA: "Λ", SIGMA: "Σ" };
  const DASHES = ["dash", "dot", "dashdot"];

  /** Name of a point of the Brillouin zone as it is printed. */
  function point(name) {
    const [letter, index] = name.split("_");
    return PF.shown(GREEK[letter] || letter) + (index ? `<sub>${PF.shown(index)}</sub>` : "");
  }

  PF.equationOfState = function (node, eos) {
    PF.draw(node, (c) => {
      const curve = (one, name, color, dash) => ({
        type: "scatter", mode: "lines", name: PF.shown(name), x: one.volumes, y: one.energies, line: { color, width: 2, dash },
        hovertemplate: "%{x:.3f} Å³/atom, %{y:.3g} meV/atom<extra></extra>",
      });
      const points = (one, color) => ({
        type: "scatter", mode: "markers", x: one.point_volumes, y: one.point_energies, showlegend: false,
        marker: { color: c.paper, size: 8, line: { color, width: 1.6 } },
        hovertemplate: "%{x:.3f} Å³/atom, %{y:.3g} meV/atom<extra></extra>",
      });
      const data = [curve(eos.ours, "PET", c.pet, "solid"), points(eos.ours, c.pet)];
      eos.beside.forEach((one, k) => data.push(curve(one, `DFT ${one.name}`, c.dft, DASHES[k % 3]), points(one, c.dft)));
      const shapes = [[eos.ours, c.pet], ...eos.beside.map((one) => [one, c.dft])].map(([one, color]) => ({
        type: "line", x0: one.v0, x1: one.v0, yref: "paper", y0: 0, y1: 0.12, line: { color, width: 1.4 },
      }));
      return {
        data,
        layout: PF.layout(c, "volume (Å³/atom)", "energy above the minimum (meV/atom)", {
          shapes, showlegend: eos.beside.length > 0, margin: { l: 52, r: 10, t: 34, b: 44 },
        }),
      };
    });
  };

  /** All branches of all lines as one trace, with gaps. */
  function branches(lines) {
    const x = [], y = [];
    for (const line of lines) for (const branch of line.y) {
      x.push(...line.x, null);
      y.push(...branch, null);
    }
    return { x, y };
  }

  /** Places and names of the ends of the lines; where the path jumps, both names. */
  function ticks(lines) {
    const places = [], names = [];
    for (const line of lines) {
      const begin = point(line.from);
      if (!places.length) { places.push(line.x[0]); names.push(begin); }
      else if (names.at(-1) !== begin) names[names.length - 1] += `|${begin}`;
      places.push(line.x.at(-1));
      names.push(point(line.to));
    }
    return [places, names];
  }

  PF.phonons = function (node, phonon) {
    PF.draw(node, (c) => {
      const data = [], hover = { hovertemplate: "%{y:.3f} THz<extra></extra>" };
      const lines = phonon.bands && phonon.bands.lines;
      const add = (one, name, color, dash, width) => {
        let named = false;
        const entry = () => { const first = !named; named = true; return { name: PF.shown(name), legendgroup: name, showlegend: first }; };
        if (one.bands) data.push({ type: "scatter", mode: "lines", ...branches(one.bands.lines), line: { color, width, dash }, ...entry(), ...hover });
        if (one.dos) {
          data.push({
            type: "scatter", mode: "lines", x: one.dos.y, y: one.dos.x, xaxis: lines ? "x2" : "x", line: { color, width, dash }, ...entry(), ...hover,
          });
        }
      };
      phonon.beside.forEach((one, k) => add(one, `DFT ${one.name}`, c.dft, DASHES[k % 3], 1.1));
      add(phonon, "PET", c.pet, "solid", 1.5);
      data.reverse();
      const more = { showlegend: phonon.beside.length > 0, margin: { l: 52, r: 10, t: 34, b: 44 }, shapes: [] };
      const zero = { type: "line", xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0, line: { color: c.grey, width: 1 } };
      more.shapes.push(zero);
      const density = innerWidth > 640 ? "DOS (1/THz/atom)" : "DOS";
      if (!lines) return { data, layout: PF.layout(c, density, "frequency (THz)", more) };
      const [places, names] = ticks(lines);
      const all = lines.concat(...phonon.beside.map((one) => (one.bands ? one.bands.lines : []))).flatMap((line) => line.y);
      const [lowest, highest] = PF.extent(all.flat());
      const below = lowest < -0.05;
      more.yaxis = { range: [below ? 1.08 * lowest : 0, 1.05 * highest] };
      for (const place of places) {
        more.shapes.push({ type: "line", x0: place, x1: place, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: c.line, width: 1 } });
      }
      more.xaxis = { domain: [0, phonon.dos ? 0.74 : 1], tickvals: places, ticktext: names, showgrid: false, tickangle: 0, range: [places[0], places.at(-1)] };
      if (phonon.dos) {
        more.xaxis2 = { ...PF.layout(c, density, "").xaxis, domain: [0.77, 1], rangemode: "tozero", nticks: 3, tickangle: 0 };
      }
      return { data, layout: PF.layout(c, "", below ? "frequency (THz), imaginary below zero" : "frequency (THz)", more) };
    });
  };

  /** Curves over temperature, distance or time; several of one side, as of pairs of elements, differ in colour. */
  PF.lines = function (node, panel) {
    PF.draw(node, (c) => {
      const names = panel.curves.map((one) => one.name), several = names.length > 1;
      const colours = several ? c.many : [c.pet];
      const trace = (one, side, dash, own, number) => ({
        type: "scatter", mode: one.x.length > 25 ? "lines" : "lines+markers", x: one.x, y: one.y,
        name: PF.shown([one.name, side].filter(Boolean).join(", ")),
        line: { color: several ? colours[number % colours.length] : own, width: dash === "solid" ? 2 : 1.5, dash },
        marker: { size: 6 }, hovertemplate: "%{x:.4g}, %{y:.4g}<extra></extra>",
      });
      const data = panel.curves.map((one, k) => trace(one, "PET", "solid", c.pet, k));
      panel.beside.forEach((side, n) => {
        for (const one of side.curves) {
          const k = names.indexOf(one.name);
          if (k >= 0) data.push(trace(one, `DFT ${side.name}`, DASHES[n % 3], c.dft, k));
        }
      });
      const scale = panel.log ? { type: "log", dtick: "D2" } : {};
      return {
        data,
        layout: PF.layout(c, panel.x, panel.y, {
          xaxis: scale, yaxis: scale, showlegend: data.length > 1, margin: { l: 52, r: 10, t: 34, b: 44 },
        }),
      };
    });
  };
})(window.PF);
