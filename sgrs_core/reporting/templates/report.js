"use strict";

// A click on a column's name sorts by it, a second click the other way round. Missing values stay
// at the end.
function valueOf(row, column) {
  const text = row.cells[column].firstChild.textContent.trim();
  if (!row.cells[column].classList.contains("number")) return text;
  return text === "–" ? null : Number(text);
}

function compare(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

function sortBy(table, head) {
  const falling = head.getAttribute("aria-sort") === "ascending";
  const body = table.tBodies[0];
  const keyed = Array.from(body.rows, (row) => [valueOf(row, head.cellIndex), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return falling ? compare(b, a) : compare(a, b);
  });
  body.append(...keyed.map(([, row]) => row));
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.querySelectorAll(".columns th")) {
    head.firstElementChild.addEventListener("click", () => sortBy(table, head));
  }
}

// Of several metrics a reader sees one, or all; paper shows all.
function showMetric(chosen) {
  for (const table of document.querySelectorAll("table.sortable")) {
    if (!table.querySelector("[data-metric]")) continue;
    const [groups, columns] = table.tHead.rows;
    const isOther = Array.from(columns.cells, (head) => {
      return chosen !== "" && "metric" in head.dataset && head.dataset.metric !== chosen;
    });
    for (const row of [columns, ...table.tBodies[0].rows]) {
      isOther.forEach((other, place) => row.cells[place].classList.toggle("other", other));
    }
    for (const group of groups.cells) {
      const other = chosen !== "" && "metric" in group.dataset && group.dataset.metric !== chosen;
      group.classList.toggle("other", other);
    }
  }
}

function makePicker(picker) {
  picker.addEventListener("change", (event) => showMetric(event.target.value));
  picker.hidden = false;
  showMetric(picker.querySelector(":checked").value);
}

document.querySelectorAll("#metric").forEach(makePicker);

// Panels become tabs. Without this script, and on paper, they stand below each other.
function select(tabs, panels, chosen) {
  tabs.forEach((tab, place) => {
    tab.setAttribute("aria-selected", String(place === chosen));
    tab.tabIndex = place === chosen ? 0 : -1;
    panels[place].hidden = place !== chosen;
  });
}

function makeTabs(group) {
  const panels = Array.from(group.querySelectorAll(".panel"));
  if (panels.length < 2) return;
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", group.dataset.label);
  const tabs = panels.map((panel, place) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = panel.id + "-tab";
    tab.textContent = panel.dataset.name;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => select(tabs, panels, place));
    return tab;
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = (tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length;
    select(tabs, panels, next);
    tabs[next].focus();
  });
  list.append(...tabs);
  group.prepend(list);
  select(tabs, panels, 0);
}

document.querySelectorAll(".panels").forEach(makeTabs);

// The slider chooses the slice of a case.
function makeViewer(viewer) {
  const slices = JSON.parse(viewer.querySelector("script").textContent);
  const slider = viewer.querySelector("input");
  slider.addEventListener("input", () => {
    const chosen = slices[Number(slider.value)];
    viewer.querySelector("output").textContent = chosen.z;
    viewer.querySelectorAll(".views svg").forEach((view, place) => {
      view.querySelector("image").setAttribute("href", chosen.image);
      view.querySelector(".truth").setAttribute("d", chosen.truth);
      view.querySelector(".prediction").setAttribute("d", chosen.predictions[place]);
    });
  });
  viewer.querySelector(".choice").hidden = false;
}

document.querySelectorAll(".viewer").forEach(makeViewer);

// A link to something folded opens it; paper shows everything.
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") target.open = true;
}

window.addEventListener("hashchange", openTarget);
openTarget();
