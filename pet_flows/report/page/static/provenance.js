"use strict";
/* Where everything comes from, and how the campaign is made again. */
(function (PF) {
  const about = window.CAMPAIGN, main = PF.head("Provenance");
  const panel = (kind, title, ...children) =>
    PF.el("div", { class: `panel ${kind}` }, PF.el("h3", { text: title }), ...children);
  const mono = (text) => PF.el("span", { class: "mono", text });

  main.append(PF.section("How to make it again", "The campaign file has every setting that is not the default. What is computed already is not computed again.",
    PF.el("div", { class: "grid" },
      panel("half", "campaign.yaml", PF.command(about.campaign_file)),
      panel("half", "Commands",
        PF.command("pet-flows screen campaign.yaml"), PF.command(`pet-flows compare ${quoted(about.name)}`),
        PF.command(`pet-flows report ${quoted(about.name)} -o report`),
        PF.facts([
          ["structures", `${about.n_structures}, digest ${about.manifest.inputs_digest || "unknown"}`],
          ["campaign", about.digest && mono(about.digest)], ["begun", about.created && about.created.slice(0, 16).replace("T", " ")],
          ["report written", about.written.slice(0, 16).replace("T", " ") + " UTC"],
        ])))));

  main.append(PF.section("Potentials", null, PF.el("div", { class: "grid" }, about.potentials.map((p) => panel("half", p.name, PF.facts([
    ["symmetrization", p.symmetrization], ["precision", p.dtype], ["trained on", p.functional], ["weights", mono(`sha256 ${p.sha256}`)], ["digest", mono(p.digest)],
  ]))))));

  const levels = Object.entries(about.levels);
  if (levels.length) {
    main.append(PF.section("Levels of theory", null, PF.el("div", { class: "panel" }, PF.facts(levels))));
  }

  const packages = Object.entries(about.versions).map(([name, versions]) => [name, versions.join(", ")]);
  main.append(PF.section("Where it was computed", null, PF.el("div", { class: "grid" },
    panel("half", "Versions of the records", PF.facts(packages)),
    panel("half", "Machines", PF.facts([
      ["devices", Object.entries(about.devices).map(([name, n]) => `${name} (${n} records)`).join(", ")],
      ["hosts", Object.entries(about.hosts).map(([name, n]) => `${name} (${n} records)`).join(", ")],
      ["time", `${PF.number(about.wall_time, 4)} s`], ["evaluations", PF.number(about.evaluations, 9)],
    ])))));

  main.append(PF.section("Settings", "As the campaign's manifest has them.", PF.el("div", { class: "panel" },
    PF.command(JSON.stringify(about.manifest, null, 1)))));
  main.append(PF.el("section", {}, PF.el("p", { class: "note" }, "These pages use plotly and Tabulator (MIT) and chemiscope (BSD): ",
    PF.el("a", { href: "assets/LICENSES.txt", text: "licences" }), ".")));

  function quoted(name) {
    return /^[\w.+-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
  }
})(window.PF);
