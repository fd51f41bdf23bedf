"use strict";
// Texts of the report are only ever set as text, never as markup.

const OPTIONS = { responsive: true, displayModeBar: false };

function readJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

function draw(place) {
  if (place.dataset.drawn) return;
  place.dataset.drawn = "yes";
  const figure = readJson(place.dataset.figure);
  Plotly.newPlot(place, figure.data, figure.layout, OPTIONS);
}

function drawWhenSeen() {
  const places = document.querySelectorAll(".plot");
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        observer.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "400px" });
  places.forEach((place) => observer.observe(place));
  window.addEventListener("beforeprint", () => places.forEach(draw));
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
document.querySelectorAll(".filters").forEach(prepareFilters);
document.querySelectorAll(".only-set").forEach(prepareSettings);
document.querySelectorAll(".copy").forEach(prepareCopy);
drawWhenSeen();
