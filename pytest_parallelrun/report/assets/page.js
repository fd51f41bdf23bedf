"use strict";
// Texts of the report are only ever set as text, never as markup.

function readJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

function paragraph(parent, text) {
  const made = document.createElement("p");
  made.textContent = text;
  parent.append(made);
}

function prepareGrid(grid) {
  const cells = readJson(grid.dataset.cells);
  const buttons = [...grid.children];
  const chosen = grid.parentElement.querySelector(".chosen");
  let current = 0;

  function show(index) {
    const cell = cells[index];
    buttons.forEach((button) => button.removeAttribute("aria-current"));
    buttons[index].setAttribute("aria-current", "true");
    chosen.replaceChildren();
    paragraph(chosen, cell.says);
    if (cell.names) paragraph(chosen, (cell.count > 1 ? "first: " : "items: ") + cell.names);
    if (cell.error) paragraph(chosen, "last error: " + cell.error);
  }

  function move(index) {
    if (index < 0 || index >= buttons.length) return;
    buttons[current].tabIndex = -1;
    current = index;
    buttons[current].tabIndex = 0;
    buttons[current].focus();
  }

  function perRow() {
    const top = buttons[0].offsetTop;
    const second = buttons.findIndex((button) => button.offsetTop > top);
    return second < 0 ? buttons.length : second;
  }

  grid.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    move(Number(button.dataset.index));
    show(current);
  });
  grid.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow(), ArrowUp: -perRow() };
    if (event.key === "Home") move(0);
    else if (event.key === "End") move(buttons.length - 1);
    else if (event.key in steps) move(current + steps[event.key]);
    else return;
    event.preventDefault();
  });
}

function prepareLosses(list) {
  const rows = [...list.querySelectorAll("tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const search = list.querySelector("input");
  const shown = list.querySelector(".shown");
  const buttons = list.querySelectorAll("button");
  let kind = "";

  function filter() {
    const wanted = search.value.trim().toLowerCase();
    let number = 0;
    rows.forEach((row, index) => {
      row.hidden = Boolean(kind && row.dataset.kind !== kind) || !texts[index].includes(wanted);
      number += row.hidden ? 0 : 1;
    });
    shown.textContent = kind || wanted ? number.toLocaleString("en") + " shown" : "";
  }

  buttons.forEach((button) => button.addEventListener("click", () => {
    kind = button.dataset.kind;
    buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    filter();
  }));
  search.addEventListener("input", filter);
}

function openPage() {
  const page = document.getElementById(location.hash.slice(1));
  if (page instanceof HTMLDetailsElement) page.open = true;
}

function prepareFilters(filters) {
  const rows = filters.parentElement.querySelectorAll("table.checks tbody tr");
  filters.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const outcome = button.dataset.outcome;
    for (const other of filters.children) other.setAttribute("aria-pressed", String(other === button));
    for (const row of rows) row.hidden = Boolean(outcome) && row.dataset.outcome !== outcome;
  });
}

function prepareSettings(box) {
  const rows = box.closest("section").querySelectorAll("table.settings tr.default");
  box.addEventListener("change", () => rows.forEach((row) => { row.hidden = box.checked; }));
}

function prepareCopy(button) {
  const command = button.parentElement.querySelector("pre");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      // A page from a file may not write to the clipboard: selected, the command is one key away.
      getSelection().selectAllChildren(command);
      button.textContent = "Selected";
    }
  });
}

document.querySelectorAll(".grid").forEach(prepareGrid);
document.querySelectorAll(".filters:not(.losses *)").forEach(prepareFilters);
document.querySelectorAll(".losses").forEach(prepareLosses);
document.querySelectorAll(".only-set").forEach(prepareSettings);
document.querySelectorAll(".copy").forEach(prepareCopy);
window.addEventListener("hashchange", openPage);
openPage();
