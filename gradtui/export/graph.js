"use strict";
(() => {
  const data = JSON.parse(document.getElementById("graph").textContent);
  const body = document.querySelector("tbody");
  const rows = [...body.rows];
  const svg = document.querySelector("svg");
  const tip = document.getElementById("tip");
  const search = document.querySelector("input[type=search]");
  const nothing = document.querySelector(".nothing");
  const ROW = 24, LANE = 16, LEFT = 12;
  let order = rows.map((_, k) => k);
  let sorted = { key: "flow", down: true };
  let picked = -1;

  const make = (name, attributes, parent) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    parent.appendChild(element);
    return element;
  };

  const paths = data.edges.map(([a, b]) => {
    const path = make("path", { "data-from": a, "data-to": b }, svg);
    if (b - a > 1) path.classList.add("skip");
    return path;
  });
  const circles = data.rows.map((row, k) => {
    const circle = make("circle", { r: 4 + 4 * row.heat, fill: row.colour, "data-row": k }, svg);
    circle.addEventListener("click", () => pick(k, true));
    circle.addEventListener("mouseenter", (event) => show(k, event));
    circle.addEventListener("mouseleave", hide);
    return circle;
  });

  const visible = () => order.filter((k) => !rows[k].hidden);

  function draw() {
    const shown = visible();
    const at = new Map(shown.map((k, place) => [k, place]));
    const flow = sorted.key === "flow";
    svg.style.top = body.offsetTop + body.parentElement.offsetTop + "px";
    svg.setAttribute("width", LEFT + data.lanes * LANE);
    svg.setAttribute("height", shown.length * ROW);
    const x = (k) => LEFT + (flow ? data.rows[k].lane * LANE : 0);
    const y = (k) => at.get(k) * ROW + ROW / 2;
    data.edges.forEach(([a, b], k) => {
      const path = paths[k];
      path.style.display = flow && at.has(a) && at.has(b) ? "" : "none";
      if (path.style.display) return;
      const [ax, ay, bx, by] = [x(a), y(a), x(b), y(b)];
      const via = LEFT + data.via[k] * LANE;
      const bend = ROW * 0.8;
      const down = by - ay;
      path.setAttribute("d", down <= ROW * 1.01
        ? `M${ax} ${ay} C${ax} ${ay + down / 2} ${bx} ${by - down / 2} ${bx} ${by}`
        : `M${ax} ${ay} C${ax} ${ay + bend / 2} ${via} ${ay + bend / 2} ${via} ${ay + bend}` +
          `L${via} ${by - bend} C${via} ${by - bend / 2} ${bx} ${by - bend / 2} ${bx} ${by}`);
    });
    circles.forEach((circle, k) => {
      circle.style.display = at.has(k) ? "" : "none";
      if (!at.has(k)) return;
      circle.setAttribute("cx", x(k));
      circle.setAttribute("cy", y(k));
    });
    nothing.hidden = shown.length > 0;
  }

  function pick(row, scroll) {
    picked = picked === row ? -1 : row;
    const near = new Set();
    data.edges.forEach(([a, b], k) => {
      const on = picked >= 0 && (a === picked || b === picked);
      paths[k].classList.toggle("linked", on);
      paths[k].classList.toggle("faded", picked >= 0 && !on);
      if (on) { near.add(a); near.add(b); }
    });
    rows.forEach((tr, k) => {
      tr.classList.toggle("picked", k === picked);
      tr.classList.toggle("linked", k !== picked && near.has(k));
      tr.setAttribute("aria-selected", String(k === picked));
      circles[k].classList.toggle("picked", k === picked);
    });
    if (scroll && picked >= 0) rows[picked].scrollIntoView({ block: "nearest" });
  }

  function show(k, event) {
    tip.textContent = data.rows[k].tip;
    tip.style.display = "block";
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.min(event.clientX + 14, innerWidth - box.width - 8) + "px";
    tip.style.top = Math.min(event.clientY + 14, innerHeight - box.height - 8) + "px";
  }
  function hide() { tip.style.display = "none"; }

  rows.forEach((tr, k) => {
    tr.tabIndex = 0;
    tr.addEventListener("click", () => pick(k, false));
    tr.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(k, false); }
      const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const shown = visible();
      const next = shown[shown.indexOf(k) + step];
      if (next !== undefined) rows[next].focus();
    });
    tr.addEventListener("mousemove", (event) => show(k, event));
    tr.addEventListener("mouseleave", hide);
  });

  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((tr, k) => { tr.hidden = !words.every((word) => data.rows[k].find.includes(word)); });
    draw();
  });

  document.querySelectorAll("thead th[data-key]").forEach((th) => {
    const sort = () => {
      const key = th.dataset.key;
      sorted = { key, down: key === sorted.key ? !sorted.down : key !== "flow" && key !== "name" };
      order = rows.map((_, k) => k);
      if (key !== "flow") {
        const sign = sorted.down ? -1 : 1;
        const value = (k) => data.rows[k][key];
        order.sort((a, b) => {
          const [p, q] = [value(a), value(b)];
          return (p < q ? -sign : p > q ? sign : 0) || a - b;
        });
      } else {
        sorted.down = false;
      }
      order.forEach((k) => body.appendChild(rows[k]));
      document.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      if (key !== "flow") th.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      draw();
    };
    th.tabIndex = 0;
    th.addEventListener("click", sort);
    th.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });

  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const choose = (dark) => { root.dataset.theme = dark ? "dark" : "light"; theme.textContent = dark ? "light" : "dark"; };
  choose(matchMedia("(prefers-color-scheme: dark)").matches);
  theme.addEventListener("click", () => choose(root.dataset.theme !== "dark"));

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== search) { event.preventDefault(); search.focus(); }
    if (event.key === "Escape") { search.value = ""; search.dispatchEvent(new Event("input")); search.blur(); if (picked >= 0) pick(picked, false); }
  });

  const place = () => {
    root.style.setProperty("--head", document.querySelector("header").offsetHeight + "px");
    draw();
  };
  addEventListener("resize", place);
  place();
})();
