"use strict";
// Draws each figure when it comes into view, in the colours of the page, and sorts the tables.
(() => {
  const darkColours = JSON.parse(document.getElementById("dark").textContent);
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const CONFIG = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    displayModeBar: false, // it would cover the plot; dragging zooms, a double-click shows all
  };
  const plots = [...document.querySelectorAll(".plot")];

  function draw(plot, isDark) {
    let text = document.getElementById(plot.dataset.figure).textContent;
    if (isDark) text = text.replace(/#[0-9a-fA-F]{6}\b/g, (colour) => darkColours[colour] ?? colour);
    const { data, layout } = JSON.parse(text);
    delete layout.width;
    if (plot.clientWidth < 480) narrow(data, layout);
    plot.dataset.drawn = isDark ? "dark" : "light";
    return Plotly.react(plot, data, layout, CONFIG);
  }

  function narrow(data, layout) {
    layout.font = { ...layout.font, size: 11 };
    layout.margin = { ...layout.margin, l: 8, r: 8 };
    layout.dragmode = false; // a finger scrolls the page
    if (!layout.yaxis?.title?.text && layout.xaxis?.title?.text) { // there is no room for a title beside long names
      layout.title = { text: layout.xaxis.title.text, font: { size: 11 }, x: 0.5, y: 0.99, yanchor: "top" };
      layout.xaxis.title = undefined;
      Object.assign(layout.margin, { t: 28, b: data.some((trace) => trace.type === "bar") ? 64 : 32 });
    }
    if (layout.annotations?.length > 5) layout.annotations.forEach((note) => { note.font = { ...note.font, size: 8 }; });
    layout.yaxis = { ...layout.yaxis, title: { ...layout.yaxis?.title, standoff: 4 } };
    layout.legend = { ...layout.legend, font: { size: 10 } };
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      draw(target, prefersDark.matches);
    }
  }, { rootMargin: "400px" });
  plots.forEach((plot) => watcher.observe(plot));

  const redraw = (isDark) => plots.filter((plot) => plot.dataset.drawn).forEach((plot) => draw(plot, isDark));
  prefersDark.addEventListener("change", () => redraw(prefersDark.matches));
  addEventListener("beforeprint", () => plots.forEach((plot) => plot.clientWidth && draw(plot, false)));
  addEventListener("afterprint", () => redraw(prefersDark.matches));

  function sortBy(table, head) {
    const place = [...head.parentNode.children].indexOf(head);
    const isNumber = head.classList.contains("number");
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    table.querySelectorAll("tr.details").forEach((row) => row.remove());
    table.querySelectorAll('[aria-expanded="true"]').forEach((button) => button.setAttribute("aria-expanded", "false"));
    const sign = order === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [keyOf(row.cells[place], isNumber), row]);
    keyed.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // missing values come last in both orders
      return sign * (isNumber ? a - b : (a > b) - (a < b));
    });
    body.append(...keyed.map(([, row]) => row));
    for (const other of head.parentNode.children) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
  }

  function keyOf(cell, isNumber) {
    const text = cell.dataset.v ?? cell.textContent;
    if (text === "") return null;
    return isNumber ? Number(text.replaceAll(",", "")) : text;
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("button")?.closest("th");
      if (head) sortBy(table, head);
    });
  }

  // The parameters of a trial, in a row below it
  const params = JSON.parse(document.getElementById("params")?.textContent ?? "null");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.more");
    if (!button) return;
    const row = button.closest("tr");
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) row.nextElementSibling.remove();
    else row.after(detailsOf(button.dataset.row, row.cells.length));
  });

  function detailsOf(index, width) {
    const row = document.createElement("tr");
    row.className = "details";
    const cell = row.appendChild(document.createElement("td"));
    cell.colSpan = width;
    const list = cell.appendChild(document.createElement("dl"));
    list.className = "facts";
    for (const [name, values] of Object.entries(params)) {
      if (values[index] === null) continue;
      const pair = list.appendChild(document.createElement("div"));
      pair.appendChild(document.createElement("dt")).textContent = name;
      pair.appendChild(document.createElement("dd")).textContent = String(values[index]);
    }
    if (!list.children.length) cell.textContent = "A published network is not drawn from the search space, so it has no choices.";
    return row;
  }
})();
