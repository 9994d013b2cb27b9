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
document.querySelectorAll("table.sortable").forEach(sortable);
