"use strict";
/* Plots that pages share. They are drawn when they come into sight, and again in other colours. */
(function (PF) {
  /** points that are drawn one by one; of more, how dense they are and the farthest */
  const MOST = 4000;
  const FARTHEST = 800;
  const drawn = new Map();

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && drawn.get(entry.target).waits) render(entry.target);
    }
  }, { rootMargin: "200px" });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [node, about] of drawn) if (!about.waits) render(node);
  });

  function render(node) {
    const about = drawn.get(node);
    about.waits = false;
    const { data, layout } = about.make(PF.colours());
    Plotly.react(node, data, layout, {
      displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      toImageButtonOptions: { format: "svg", filename: "figure" },
    });
    if (about.click && !about.listens) {
      about.listens = true;
      node.on("plotly_click", (event) => {
        const place = event.points.find((p) => p.customdata !== undefined);
        if (place) about.click(place.customdata);
      });
    }
  }

  /** Draw what `make(colours)` gives as {data, layout}; `click` is given the `customdata` of a point. */
  PF.draw = function (node, make, click) {
    const known = drawn.get(node);
    drawn.set(node, { make, click, waits: !known || known.waits, listens: known && known.listens });
    if (known && !known.waits) render(node);
    else seen.observe(node);
  };

  PF.plot = (height, label) => {
    const node = PF.el("div", { class: "plot", role: "img", "aria-label": label });
    node.style.height = `${height}px`;
    return node;
  };

  /** Layout in our colours. */
  PF.layout = function (c, x, y, more = {}) {
    const axis = (title, own) => ({
      title: { text: PF.shown(title), font: { size: 13, color: c.soft }, standoff: 8 }, color: c.ink,
      gridcolor: c.line, zerolinecolor: c.line, linecolor: c.grey, tickfont: { size: 12 },
      automargin: true, exponentformat: "power", ...own,
    });
    const { xaxis, yaxis, ...rest } = more;
    return {
      margin: { l: 52, r: 10, t: 12, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", color: c.ink, size: 12 },
      hoverlabel: { bgcolor: c.paper, bordercolor: c.grey, font: { color: c.ink, size: 12.5 }, align: "left" },
      showlegend: false, legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      xaxis: axis(x, xaxis), yaxis: axis(y, yaxis), hovermode: "closest", dragmode: "zoom", ...rest,
    };
  };

  PF.extent = function (values) {
    let low = Infinity, high = -Infinity;
    for (const v of values) {
      if (v === null || !Number.isFinite(v)) continue;
      if (v < low) low = v;
      if (v > high) high = v;
    }
    return [low, high];
  };

  /** Points of two lists: single ones, or their density with the farthest as points. */
  PF.points = function (c, x, y, rows, text, distance) {
    const style = { size: 7, color: c.pet, opacity: 0.8, line: { width: 0 } };
    const trace = (places, marker) => ({
      type: "scatter", mode: "markers", x: places.map((n) => x[n]), y: places.map((n) => y[n]),
      customdata: places.map((n) => rows[n]), text: places.map(text), hovertemplate: "%{text}<extra></extra>",
      marker,
    });
    const all = Array.from(x.keys()).filter((n) => x[n] !== null && y[n] !== null);
    if (all.length <= MOST) return [trace(all, style)];
    const farthest = [...all].sort((a, b) => distance(b) - distance(a)).slice(0, FARTHEST);
    return [density(c, all.map((n) => x[n]), all.map((n) => y[n])), trace(farthest, { ...style, size: 5 })];
  };

  function density(c, x, y) {
    const cells = 70, [x0, x1] = PF.extent(x), [y0, y1] = PF.extent(y);
    const dx = (x1 - x0) / cells || 1, dy = (y1 - y0) / cells || 1;
    const z = Array.from({ length: cells }, () => new Array(cells).fill(0));
    x.forEach((v, n) => {
      z[Math.min(cells - 1, Math.floor((y[n] - y0) / dy))][Math.min(cells - 1, Math.floor((v - x0) / dx))] += 1;
    });
    return {
      type: "heatmap", x0: x0 + dx / 2, dx, y0: y0 + dy / 2, dy, hoverinfo: "skip", showscale: false,
      z: z.map((line) => line.map((count) => (count ? Math.log10(count + 1) : null))),
      colorscale: [[0, mixed(c.paper, c.pet, 0.18)], [1, c.deep]],
    };
  }

  /** A colour between two of #rrggbb. */
  function mixed(a, b, part) {
    const at = (text, n) => parseInt(text.slice(1 + 2 * n, 3 + 2 * n), 16);
    return `rgb(${[0, 1, 2].map((n) => Math.round(at(a, n) + part * (at(b, n) - at(a, n)))).join(",")})`;
  }

  /** Bars of how often values occur; of many, those far outside are named instead of shown. */
  PF.histogram = function (c, values, title, lines = []) {
    const sorted = Float64Array.from(values.filter((v) => v !== null)).sort();
    const n = sorted.length;
    const at = (q) => sorted[Math.min(n - 1, Math.max(0, Math.round(q * (n - 1))))];
    const cut = n > 200 ? 0.005 : 0;
    let [low, high] = [at(cut), at(1 - cut)];
    if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.05, high + (Math.abs(high) || 1) * 0.05];
    const width = 2 * (at(0.75) - at(0.25)) * n ** (-1 / 3) || (high - low) / 10;
    const bins = Math.max(8, Math.min(60, Math.ceil((high - low) / width)));
    const step = (high - low) / bins, counts = new Array(bins).fill(0);
    let beyond = 0;
    for (const v of sorted) {
      if (v < low || v > high) beyond += 1;
      else counts[Math.min(bins - 1, Math.floor((v - low) / step))] += 1;
    }
    const shapes = lines.map(([at_, dash]) => ({
      type: "line", x0: at_, x1: at_, yref: "paper", y0: 0, y1: 1, line: { color: c.ink, width: 1.2, dash },
    }));
    const note = beyond
      ? [{ text: `${beyond} outside of this range`, xref: "paper", yref: "paper", x: 1, y: 1, xanchor: "right",
        yanchor: "top", showarrow: false, font: { size: 12, color: c.soft } }]
      : [];
    return {
      data: [{
        type: "bar", x: counts.map((_, b) => low + (b + 0.5) * step), y: counts, width: step, marker: { color: c.pet },
        hovertemplate: "%{y} at %{x:.4g}<extra></extra>",
      }],
      layout: PF.layout(c, title, "structures", { shapes, annotations: note, bargap: 0.04, yaxis: { rangemode: "tozero" } }),
    };
  };

  /** Part of structures whose error is at most so large. */
  PF.cumulative = function (c, errors, title) {
    const sorted = Float64Array.from(errors.map(Math.abs)).sort();
    const n = sorted.length, step = Math.max(1, Math.floor(n / 400));
    const x = [], y = [];
    for (let k = 0; k < n; k += step) { x.push(sorted[k]); y.push((k + 1) / n); }
    if (x.at(-1) !== sorted[n - 1]) { x.push(sorted[n - 1]); y.push(1); }
    return {
      data: [{
        type: "scatter", mode: "lines", x, y, line: { color: c.pet, width: 2, shape: "hv" },
        hovertemplate: "%{y:.0%} within %{x:.4g}<extra></extra>",
      }],
      layout: PF.layout(c, title, "part of structures", {
        xaxis: { rangemode: "tozero" }, yaxis: { range: [0, 1.03], tickformat: ".0%" },
      }),
    };
  };
})(window.PF);
