"use strict";
/* First page: what the campaign is, its errors, its values, its structures. */
(function (PF) {
  const about = window.CAMPAIGN, main = PF.head("Overview");

  const card = (title, big, ...rest) =>
    PF.el("div", { class: "card" }, PF.el("h3", { text: title }), PF.el("div", { class: "big" }, big), ...rest);

  function hours(seconds) {
    if (seconds < 120) return [PF.number(seconds, 3), "s"];
    if (seconds < 7200) return [PF.number(seconds / 60, 3), "min"];
    return [PF.number(seconds / 3600, 3), "h"];
  }

  function dftCard() {
    const matched = about.matched, n = Object.entries(matched).reduce((sum, [way, k]) => sum + (way === "unmatched" ? 0 : k), 0);
    const ways = Object.entries(matched).map(([way, k]) => (way === "unmatched" ? `${k} unmatched` : `${k} by ${way}`));
    if (!ways.length) {
      return card("Beside DFT", "none yet", PF.el("div", { class: "small" },
        "Import references with ", PF.el("code", { text: "pet-flows reference add" }), ", run ",
        PF.el("code", { text: `pet-flows compare ${about.name}` }), ", and write this report again."));
    }
    return card("Beside DFT", [String(n), PF.el("small", { text: ` of ${about.n_structures}` })],
      PF.el("div", { class: "small", text: ways.join(" · ") }),
      PF.el("div", { class: "small", text: Object.keys(about.levels).join(", ") }));
  }

  /** How often a potential calls stable what is stable in DFT, and keeps DFT's space group. */
  function agreementCards() {
    const { stable, symmetry } = about.agreement, several = new Set(about.potentials.map((p) => p.name)).size > 1;
    const small = (one, text) => PF.el("div", { class: "small", text: (several ? `${one.potential}: ` : "") + text });
    const cards = [];
    if (stable.length) {
      cards.push(card("Stable or not", [PF.number(stable[0].f1, 2), PF.el("small", { text: " F1" })],
        stable.map((one) => small(one, `${one.of}: F1 ${PF.number(one.f1, 2)}, n = ${one.n}`))));
    }
    if (symmetry.length) {
      const part = (one) => `${PF.number(Math.round(1000 * one.match) / 10)} %`;
      cards.push(card("Symmetry kept", part(symmetry[0]),
        symmetry.map((one) => small(one, `${part(one)} of ${one.n} at ${one.tolerance} Å`))));
    }
    return cards;
  }

  const counts = {};
  for (const state of window.ROWS.state) counts[state] = (counts[state] || 0) + 1;
  const [time, unit] = hours(about.wall_time);
  const [bar, text] = PF.stateBar(counts);
  const models = [...new Set(about.potentials.map((p) => `${p.name}, ${p.dtype}`))];
  main.append(PF.el("div", { class: "cards" },
    card("Structures", String(about.n_structures), bar, text),
    ...about.states.properties.map(({ name, states }) => {
      const [ownBar, ownText, total] = PF.stateBar(states);
      return card(name, [String(states.ok || 0), PF.el("small", { text: ` of ${total}` })], ownBar, ownText);
    }),
    dftCard(), ...agreementCards(),
    card("Computed in", [time, PF.el("small", { text: ` ${unit}` })],
      PF.el("div", { class: "small", text: `${PF.number(about.evaluations)} evaluations on ${Object.keys(about.devices).join(", ")}` }),
      PF.el("div", { class: "small", text: models.join(" · ") }))));

  const first = PF.el("div"), second = PF.el("div"), third = PF.el("div");
  main.append(first, second, third);
  PF.structures(third);
  PF.against(first);
  PF.values(second);
})(window.PF);
