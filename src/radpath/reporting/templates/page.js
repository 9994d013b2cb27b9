"use strict";
// Without this script the page says the same. With it, tables sort by the column whose head is pressed.
function sortable(table) {
  const body = table.tBodies[0];
  if (body.rows.length < 2) return;
  const asWritten = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const orders = head.classList.contains("number") ? ["descending", "ascending"] : ["ascending", "descending"];
      const order = orders[orders.indexOf(head.getAttribute("aria-sort")) + 1];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (order) head.setAttribute("aria-sort", order);
      body.append(...(order ? sorted(asWritten, place, order === "ascending" ? 1 : -1) : asWritten));
    });
  });
}
// Numbers by their full value, those that do not exist last; texts as people sort them.
function sorted(rows, place, direction) {
  const numberOf = (row) => parseFloat(row.cells[place].dataset.value);
  const numeric = rows.some((row) => !Number.isNaN(numberOf(row)));
  return rows.slice().sort((a, b) => {
    if (!numeric) {
      return direction * a.cells[place].textContent.localeCompare(b.cells[place].textContent, "en", { numeric: true });
    }
    const [left, right] = [numberOf(a), numberOf(b)];
    if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);
    return direction * (left - right);
  });
}
// Elements of a tree: make("p", { class: "soft" }, "words", make("b", {}, "more")).
function make(name, attributes, ...children) {
  const space = ["svg", "path", "circle", "line", "text"].includes(name) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const element = document.createElementNS(space, name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  element.append(...children);
  return element;
}
const share = (part, whole) => (whole ? (part / whole).toFixed(3) : "undefined");
// A square from 0 to 1 with a line through points, and a dot that moves.
function plot(xLabel, yLabel, points) {
  const at = ([x, y]) => [30 + 160 * x, 170 - 160 * y];
  const dot = make("circle", { r: 4.5, fill: "var(--accent)", stroke: "var(--paper)", "stroke-width": 1.5 });
  const path = points.map((point, place) => (place ? "L" : "M") + at(point).map((one) => one.toFixed(1)).join(" ")).join("");
  const words = (x, y, text, more) => make("text", { x, y, "font-size": 9, fill: "currentColor", "text-anchor": "middle", ...more }, text);
  const figure = make("svg", { viewBox: "0 0 200 200", role: "img", "aria-label": yLabel + " against " + xLabel },
    make("path", { d: "M30 10V170H190", fill: "none", stroke: "currentColor", "stroke-width": 0.7 }),
    make("path", { d: path, fill: "none", stroke: "var(--accent)", "stroke-width": 1.4 }),
    words(30, 182, "0"), words(190, 182, "1"), words(23, 173, "0"), words(23, 14, "1"),
    words(110, 194, xLabel), words(12, 90, yLabel, { transform: "rotate(-90 12 90)" }), dot);
  const show = (point) => {
    dot.style.display = point.some(Number.isNaN) ? "none" : "";
    if (!point.some(Number.isNaN)) [dot.cx.baseVal.value, dot.cy.baseVal.value] = at(point);
  };
  return { figure, show };
}
// Looks at other thresholds; what the page reports stays what it is.
function thresholdWidget(place) {
  const told = JSON.parse(place.dataset.numbers);
  const panel = make("div", {});
  const choice = make("select", { id: "threshold-class" }, ...told.classes.map((one, n) => make("option", { value: n }, one.name)));
  const label = make("label", { for: "threshold-class" }, "Class that counts as positive: ");
  place.append(make("h3", {}, place.dataset.label), ...(told.classes.length > 1 ? [make("p", {}, label, choice)] : []), panel);
  const draw = () => panel.replaceChildren(...thresholdPanel(told.classes[choice.value || 0], told));
  choice.addEventListener("change", draw);
  draw();
  place.hidden = false;
}
function thresholdPanel(one, told) {
  const last = one.thresholds.length - 1;
  const frozen = told.frozen === null ? -1 : one.thresholds.indexOf(told.frozen);
  const roc = plot("1 - specificity", "Sensitivity", one.thresholds.map((_, n) => [one.alarms[n] / one.negatives, one.caught[n] / one.positives]).reverse());
  const precision = (n) => one.caught[n] / (one.caught[n] + one.alarms[n]);
  const pr = plot("Recall", "Precision", one.thresholds.map((_, n) => [one.caught[n] / one.positives, precision(n)]).filter((point) => !point.some(Number.isNaN)).reverse());
  const slider = make("input", { type: "range", id: "threshold-slider", min: 0, max: last, step: 1 });
  slider.value = frozen >= 0 ? frozen : Math.floor(last / 2);
  const shown = make("output", { for: "threshold-slider", "aria-live": "polite" });
  const cells = make("tbody", {});
  const numbers = make("dl", { class: "looks" });
  const show = () => {
    const n = Number(slider.value);
    const [tp, fp] = [one.caught[n], one.alarms[n]];
    const [fn, tn] = [one.positives - tp, one.negatives - fp];
    const text = one.thresholds[n].toPrecision(4);
    slider.setAttribute("aria-valuetext", "threshold " + text);
    shown.textContent = n === frozen ? text + ", the frozen one" : n === last ? "above every image" : text;
    const row = (name, positive, negative) => make("tr", {}, make("th", { scope: "row" }, name),
      make("td", { class: "number" }, String(positive)), make("td", { class: "number" }, String(negative)));
    cells.replaceChildren(row(one.name, tp, fn), row("not " + one.name, fp, tn));
    const values = { Sensitivity: share(tp, tp + fn), Specificity: share(tn, tn + fp),
      "Positive predictive value": share(tp, tp + fp), "Negative predictive value": share(tn, tn + fn) };
    numbers.replaceChildren(...Object.entries(values).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
    roc.show([fp / one.negatives, tp / one.positives]);
    pr.show([tp / one.positives, precision(n)]);
  };
  slider.addEventListener("input", show);
  show();
  const head = (text) => make("th", { scope: "col", class: "number" }, text);
  const table = make("table", { class: "narrow" },
    make("caption", {}, "Images of the " + told.side + " side at this threshold: truth in rows, decision in columns."),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Truth"), head("decided " + one.name), head("decided otherwise"))), cells);
  const note = frozen >= 0
    ? "Only for looking: the threshold that is reported is the frozen one, " + told.frozen.toPrecision(4) + ". One chosen here, on the " + told.side + " side, would make the results too good."
    : "Only for looking: the decision that is reported is the class with the highest probability. A threshold chosen here, on the " + told.side + " side, would make the results too good.";
  return [make("p", { class: "slide" }, make("label", { for: "threshold-slider" }, "Threshold"), slider, shown),
    make("div", { class: "explorer" }, make("div", {}, table, numbers), roc.figure, pr.figure),
    make("p", { class: "soft small" }, note)];
}
document.querySelectorAll("table.sortable").forEach(sortable);
document.querySelectorAll(".widget[data-kind=threshold]").forEach(thresholdWidget);
