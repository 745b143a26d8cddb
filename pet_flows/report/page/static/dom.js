"use strict";
/* Elements, numbers and names as all pages write them. Whatever comes from a campaign is put into
   the document as text, never as markup. */
window.PF = { narrow: innerWidth <= 640 };

(function (PF) {
  /** An element: attributes by name, `text` for its text, `on` for what it listens to. */
  PF.el = function (tag, given, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(given || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name === "text") node.textContent = value;
      else if (name === "on") {
        for (const [event, listen] of Object.entries(value)) node.addEventListener(event, listen);
      } else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
    return node;
  };

  /** A formula with its numbers below the line. */
  PF.formula = function (text) {
    const node = PF.el("span", { class: "formula" });
    for (const part of String(text || "").split(/(\d+(?:\.\d+)?)/)) {
      if (part) node.append(/^\d/.test(part) ? PF.el("sub", { text: part }) : part);
    }
    return node;
  };

  /** ``P6_3/mmc (194)`` with its screw axes below the line. */
  PF.group = function (text) {
    const node = PF.el("span", {});
    String(text || "").split(/_(\d)/).forEach((part, k) => part && node.append(k % 2 ? PF.el("sub", { text: part }) : part));
    return node;
  };

  /** Text as plotly shows it, which would read some markup. */
  PF.shown = (text) =>
    String(text ?? "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  /** What is said beside the pointer, as an element: of text Tabulator would make markup. */
  PF.tip = (text) => (text ? PF.el("span", { text }) : "");

  /** A number for people, with a true minus; yes and no; a dash where there is none. */
  PF.number = function (value, digits = 4) {
    if (value === null || value === undefined || value === "") return "–";
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (typeof value !== "number") return String(value);
    if (value === 0 || Math.abs(value) < 1e-15) return "0";
    const size = Math.abs(value);
    let text;
    if (Number.isInteger(value) && size < 1e6) text = String(value);
    else if (size >= 1e6 || size < 1e-4) text = value.toExponential(Math.max(0, digits - 2));
    else text = String(Number(value.toPrecision(digits)));
    return text.replace(/-/g, "−");
  };

  PF.signed = (value, digits = 3) =>
    (typeof value === "number" && value > 0 ? "+" : "") + PF.number(value, digits);

  PF.percent = (value) =>
    value === null || value === undefined ? "–" : `${PF.signed(100 * value, 3)} %`;

  PF.withUnit = (text, unit) => (unit ? `${text} ${unit}` : text);

  /** eV where energies of atoms are small → meV: factor and unit that errors are shown in. */
  PF.errorScale = (unit) => (unit === "eV" ? [1000, "meV"] : [1, unit]);

  PF.STATES = ["ok", "unconverged", "incomplete", "failed"];
  const MARKS = { ok: "●", unconverged: "◐", incomplete: "○", failed: "✕" };

  /** State as a mark with its name: told apart by shape as well as by colour. */
  PF.state = (state) =>
    PF.el("span", { class: `state ${state}` },
      PF.el("span", { class: "mark", text: MARKS[state] || "·", "aria-hidden": "true" }), state);

  /** Bar of how many are in which state. */
  PF.stateBar = function (counts) {
    const total = Object.values(counts).reduce((a, b) => a + b, 0);
    const bar = PF.el("div", { class: "bar", role: "img" });
    const said = [];
    for (const state of PF.STATES) {
      if (!counts[state]) continue;
      const part = PF.el("span", { class: state });
      part.style.flexGrow = counts[state];
      bar.append(part);
      said.push(`${counts[state]} ${state}`);
    }
    bar.setAttribute("aria-label", said.join(", "));
    bar.title = said.join(", ");
    return [bar, PF.el("div", { class: "small" }, said.join(" · ") || "none"), total];
  };

  /** Address of a structure's page, or null where it has none. */
  PF.pageOf = function (row) {
    PF.withPage = PF.withPage || new Set(window.PAGES || []);
    return PF.withPage.has(row) ? `structure.html#${window.ROWS.page[row]}` : null;
  };

  /** Name of a row, linked to its page where there is one. */
  PF.rowLink = function (row) {
    const address = PF.pageOf(row);
    const name = window.ROWS.material[row] || "no identifier";
    return address ? PF.el("a", { href: address, text: name }) : PF.el("span", { text: name });
  };

  /** A labelled select; options are [value, text], or [group, [options]]. */
  PF.select = function (label, options, change) {
    const make = ([value, text]) =>
      Array.isArray(text)
        ? PF.el("optgroup", { label: value }, text.map(make))
        : PF.el("option", { value, text });
    const node = PF.el("select", { on: { change: () => change(node.value) } }, options.map(make));
    const whole = PF.el("label", { class: "choice" }, PF.el("span", { text: label }), node);
    return { whole, node };
  };

  /** A DOI as a link, which only a click follows; what is none stays text. */
  PF.doi = function (text) {
    const [doi] = String(text || "").match(/10\.\d{4,9}\/\S+$/) || [];
    if (!doi) return text;
    const href = `https://doi.org/${doi.split("/").map(encodeURIComponent).join("/")}`;
    return PF.el("a", { href, rel: "noopener noreferrer", text: doi });
  };

  PF.section = (title, note, ...children) =>
    PF.el("section", {}, PF.el("h2", { text: title }), note && PF.el("p", { class: "note" }, note),
      ...children);

  /** Rows of names and values. */
  PF.facts = (pairs) =>
    PF.el("dl", { class: "facts" },
      pairs.filter((p) => p && p[1] !== null && p[1] !== undefined && p[1] !== "").map(([name, value]) => [
        PF.el("dt", { text: name }), PF.el("dd", {}, value)]));

  /** Text to be copied, with a button that does. */
  PF.command = function (text) {
    const done = PF.el("button", {
      type: "button", class: "copy", text: "copy", title: "Copy this text",
      on: {
        click: () => {
          const range = document.createRange();
          range.selectNodeContents(code);
          getSelection().removeAllRanges();
          getSelection().addRange(range);
          done.textContent = document.execCommand("copy") ? "copied" : "copy";
        },
      },
    });
    const code = PF.el("code", { text });
    return PF.el("div", { class: "command" }, PF.el("pre", {}, code), done);
  };

  /** Colours of the style sheet, as they are in light or dark. */
  PF.colours = function () {
    const style = getComputedStyle(document.documentElement);
    const names = ["ink", "soft", "line", "paper", "pet", "dft", "ok", "warn", "bad", "grey", "deep"];
    const found = Object.fromEntries(names.map((n) => [n, style.getPropertyValue(`--${n}`).trim()]));
    return { ...found, many: [found.pet, found.bad, found.ok, found.warn, found.soft, found.grey] };
  };

  /** Head of every page: name of the campaign, what it is in short, and the other pages. */
  PF.head = function (active) {
    const about = window.CAMPAIGN;
    const pages = [
      ["index.html", "Overview"], ["hulls.html", "Hulls"],
      ["problems.html", "Problems"], ["provenance.html", "Provenance"],
    ];
    const models = [...new Set(about.potentials.map((p) => p.name))].join(", ");
    document.title = active === "Overview" ? about.name : `${active} · ${about.name}`;
    const links = pages.map(([href, text]) =>
      PF.el("a", { href, text, "aria-current": text === active ? "page" : null }));
    document.getElementById("head").append(
      PF.el("div", { class: "title" },
        PF.el("p", { class: "kind", text: "Campaign" }),
        PF.el("h1", {}, PF.el("a", { href: "index.html", text: about.name })),
        PF.el("p", { class: "small" },
          `${models} · ${about.n_structures} structures · written ${about.written.slice(0, 10)}`)),
      PF.el("nav", { "aria-label": "Pages" }, links));
    return document.getElementById("main");
  };
})(window.PF);
