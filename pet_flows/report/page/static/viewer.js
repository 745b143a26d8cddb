"use strict";
/* One structure in chemiscope, in a page of its own: chemiscope replaces style sheets of plotly. */
(function () {
  const holder = document.getElementById("structure");
  let shown = null;

  function say(text) {
    const line = document.createElement("p");
    line.textContent = text;
    holder.replaceChildren(line);
  }

  /** Atoms on all faces of a cell, of small cells in eight of them, so that one sees how it goes on. */
  function filled(given) {
    if (!given.cell || given.size > 400) return given;
    const c = given.cell, a = c.slice(0, 3), b = c.slice(3, 6), d = c.slice(6, 9), edge = 1e-3;
    const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    const dot = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    const volume = dot(a, cross(b, d)), dual = [cross(b, d), cross(d, a), cross(a, b)];
    const most = given.size <= 8 ? 2 : 1, found = { size: 0, names: [], x: [], y: [], z: [], cell: c };
    for (let n = 0; n < given.size; n += 1) {
      const position = [given.x[n], given.y[n], given.z[n]];
      const first = dual.map((axis) => {
        const part = dot(position, axis) / volume;
        return part - Math.floor(part + edge);
      });
      for (let i = first[0]; i <= most + edge; i += 1) for (let j = first[1]; j <= most + edge; j += 1) {
        for (let k = first[2]; k <= most + edge; k += 1) {
          found.size += 1;
          found.names.push(given.names[n]);
          ["x", "y", "z"].forEach((axis, m) => found[axis].push(i * a[m] + j * b[m] + k * d[m]));
        }
      }
    }
    return found;
  }

  async function show() {
    const [, number] = location.hash.slice(1).split("/");
    const one = window.STRUCTURE.viewer[Number(number) || 0];
    if (!one || shown === one) return;
    shown = one;
    holder.replaceChildren();
    document.getElementById("info").replaceChildren();
    document.getElementById("meta").replaceChildren();
    const dataset = {
      meta: { name: one.name },
      structures: [filled(one.structure)],
      properties: { structure: { target: "structure", values: [1] } },
      settings: { structure: [{ unitCell: Boolean(one.structure.cell), bonds: true, spaceFilling: false, axes: "abc" }] },
    };
    const warnings = new Chemiscope.Warnings();
    try {
      await Chemiscope.StructureVisualizer.load({ meta: "meta", structure: "structure", info: "info" }, dataset, warnings);
      document.body.dataset.ready = String(number || 0);
    } catch (error) {
      say(`The structure cannot be shown: ${error.message}`);
    }
  }

  const id = location.hash.slice(1).split("/")[0];
  if (!/^[0-9a-f]{12}$/.test(id)) return;
  const script = document.createElement("script");
  script.src = `data/${id.slice(0, 2)}/${id}.js`;
  script.addEventListener("load", show);
  document.body.append(script);
  addEventListener("hashchange", show);
})();
