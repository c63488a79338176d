"use strict";
(() => {
  const root = document.documentElement;
  const all = (what, from = document) => Array.from(from.querySelectorAll(what));
  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // dark and light
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
  });

  // the contents: folded where they would stand in the way, and where one is
  const contents = document.querySelector(".contents details");
  if (contents && matchMedia("(max-width: 62rem)").matches) contents.open = false;
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  if ("IntersectionObserver" in window) {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        links.forEach((link) => link.removeAttribute("aria-current"));
        const link = links.get(entry.target.id);
        if (link) link.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "0px 0px -70% 0px" });
    all(".sections > section").forEach((section) => seen.observe(section));
  }

  // what a mark says, beside the pointer
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = (told, x, y) => {
    tip.textContent = told;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y - box.height - 12 < 8 ? y + 18 : y - box.height - 12}px`;
  };
  for (const mark of all("svg .mark")) {
    const title = mark.querySelector("title");
    if (!title) continue;
    const told = title.textContent;
    title.remove();
    mark.setAttribute("aria-label", told);
    mark.setAttribute("role", "img");
    mark.addEventListener("pointermove", (event) => show(told, event.clientX, event.clientY));
    mark.addEventListener("pointerleave", hide);
    if (mark.closest(".tall, .square")) {
      const few = mark.parentNode.querySelectorAll(".mark").length <= 40;
      if (few) mark.setAttribute("tabindex", "0");
      mark.addEventListener("focus", () => {
        const box = mark.getBoundingClientRect();
        show(told, box.left + box.width / 2, box.top);
      });
      mark.addEventListener("blur", hide);
    }
  }
  addEventListener("scroll", hide, { passive: true });

  // tables that can be sorted
  const value = (row, column) => {
    const cell = row.cells[column];
    const given = cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim();
    const number = parseFloat(given.replace(/,/g, "").replace("\u2212", "-"));
    return Number.isNaN(number) ? given.toLowerCase() : number;
  };
  for (const table of all("table.sortable")) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      if (head.classList.contains("fixed")) return;
      const button = make("button", "", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = Array.from(table.tBodies[0].rows);
        const order = rows.map((row) => [value(row, column), row]);
        order.sort(([a], [b]) => {
          const both = typeof a === "number" && typeof b === "number";
          if (both) return a - b;
          if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
          return a.localeCompare(b);
        });
        if (!up) order.reverse();
        table.tBodies[0].append(...order.map(([, row]) => row));
      });
    });
  }

  // the map of items
  const map = document.getElementById("item-map");
  if (!map) return;
  const items = JSON.parse(document.getElementById("items").textContent);
  const dots = all(".item", map);
  const place = document.getElementById("inspector");
  place.hidden = false;
  document.getElementById("map-hint").hidden = false;
  let kept = null;
  let chosen = null;

  const preview = (one) => {
    if (!one) return null;
    if (one.kind === "text") return make("bdi", "words", one.text);
    if (one.kind === "image") {
      const around = make("span", "pic");
      const picture = make("img");
      picture.alt = "";
      picture.src = one.src;
      around.append(picture);
      return around;
    }
    if (one.kind === "sound") {
      const player = make("audio");
      player.controls = true;
      player.src = one.src;
      return player;
    }
    const table = make("table", "values");
    const body = make("tbody");
    for (const [key, told] of one.values) {
      const row = make("tr");
      row.append(make("th", "", key), make("td", "", told));
      body.append(row);
    }
    table.append(body);
    return table;
  };
  const open = (dot) => {
    if (chosen) chosen.classList.remove("on");
    chosen = dot;
    dot.classList.add("on");
    const one = items[Number(dot.dataset.i)];
    const parts = [];
    const seen = preview(one.preview);
    if (seen) parts.push(seen);
    const label = make("p");
    if (!document.getElementById("classes")) label.append("true value ");
    label.append(make("strong", "", one.label));
    if (one.state === "learnt") label.append(" ", make("span", "tag", "learnt from"));
    parts.push(label);
    if (one.predicted !== "–") {
      const said = make("p");
      said.append(one.state === "wrong" ? "taken for " : "predicted ", make("bdi", "", one.predicted));
      if (one.sure) said.append(` (${one.sure} sure)`);
      if (one.state === "wrong") said.append(" ", make("span", "tag warn", "wrong"));
      if (one.abstained) said.append(" ", make("span", "tag", "abstained"));
      parts.push(said);
    }
    const name = make("p", "id");
    name.append(make("bdi", "", one.id));
    parts.push(name);
    place.replaceChildren(...parts);
  };
  const keep = (dot) => { kept = dot; open(dot); };
  if (dots.length) keep(dots.find((dot) => dot.classList.contains("wrong")) || dots[0]);
  map.addEventListener("pointerover", (event) => {
    const dot = event.target.closest(".item");
    if (dot && !dot.classList.contains("off")) open(dot);
  });
  map.addEventListener("pointerleave", () => { if (kept) open(kept); });
  map.addEventListener("click", (event) => {
    const box = map.getBoundingClientRect();
    let best = null;
    let near = 24 * 24;  // a finger is not a needle
    for (const dot of dots) {
      if (dot.classList.contains("off")) continue;
      const x = box.left + (parseFloat(dot.getAttribute("cx")) / 100) * box.width - event.clientX;
      const y = box.top + (parseFloat(dot.getAttribute("cy")) / 100) * box.height - event.clientY;
      if (x * x + y * y < near) { near = x * x + y * y; best = dot; }
    }
    if (best) keep(best);
  });
  const at = (dot, way) => parseFloat(dot.getAttribute(way));
  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  map.addEventListener("keydown", (event) => {
    const shown = dots.filter((dot) => !dot.classList.contains("off"));
    if (!shown.length) return;
    if (event.key === "Enter" && chosen) { keep(chosen); return; }
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    if (!chosen || chosen.classList.contains("off")) { open(shown[0]); return; }
    let best = null;
    let near = Infinity;
    for (const dot of shown) {
      const x = at(dot, "cx") - at(chosen, "cx");
      const y = at(dot, "cy") - at(chosen, "cy");
      const along = x * way[0] + y * way[1];
      const beside = Math.abs(x * way[1]) + Math.abs(y * way[0]);
      if (dot === chosen || along <= 0) continue;
      if (along + 2 * beside < near) { near = along + 2 * beside; best = dot; }
    }
    if (best) open(best);
  });

  // which items are shown
  const chips = all("#map-legend [data-filter], #map-legend [data-class]");
  const list = document.getElementById("map-class");
  const filter = () => {
    const on = chips.filter((chip) => chip.getAttribute("aria-pressed") === "true");
    const names = new Set(on.map((chip) => chip.dataset.class).filter((name) => name !== undefined));
    const states = new Set(on.map((chip) => chip.dataset.filter).filter((name) => name !== undefined));
    if (list && list.value) names.add(list.value);
    for (const dot of dots) {
      const named = !names.size || names.has(dot.dataset.label);
      const stated = !states.size || Array.from(states).some((one) => dot.classList.contains(one));
      dot.classList.toggle("off", !(named && stated));
    }
  };
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      const on = chip.getAttribute("aria-pressed") === "true";
      chip.setAttribute("aria-pressed", String(!on));
      filter();
    });
  }
  if (list) list.addEventListener("change", filter);
})();
