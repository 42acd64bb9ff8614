"use strict";
for (const recording of document.querySelectorAll(".recording")) {
  const audio = recording.querySelector("audio");
  if (!audio) continue;
  const head = recording.querySelector(".head");
  const line = recording.querySelector(".line");
  const spots = [...recording.querySelectorAll(".spot")];
  const words = [...recording.querySelectorAll(".word")];
  const starts = spots.map((spot) => Number(spot.dataset.at));
  let marked = -1;
  const mark = (index) => {
    if (index === marked) return;
    for (const list of [spots, words]) {
      if (list[marked]) list[marked].classList.remove("now");
      if (list[index]) list[index].classList.add("now");
    }
    marked = index;
  };
  const follow = () => {
    head.hidden = false;
    head.style.left = `${(100 * audio.currentTime) / (audio.duration || 1)}%`;
    mark(starts.findLastIndex((start) => start <= audio.currentTime + 0.01));
    if (!audio.paused) requestAnimationFrame(follow);
  };
  const playFrom = (seconds) => {
    audio.currentTime = seconds;
    audio.play().catch(() => {});
  };
  for (const word of [...spots, ...words]) word.addEventListener("click", () => playFrom(Number(word.dataset.at)));
  line.addEventListener("click", (event) => {
    if (event.target.closest(".spot")) return;
    const box = line.getBoundingClientRect();
    playFrom(((event.clientX - box.left) / box.width) * (audio.duration || 0));
  });
  audio.addEventListener("play", () => {
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
    follow();
  });
  audio.addEventListener("seeked", follow);
}
for (const table of document.querySelectorAll(".sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("th").forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    const value = (row) => row.cells[column].dataset.by ?? row.cells[column].textContent.trim();
    const sort = () => {
      const down = header.getAttribute("aria-sort") === "ascending";
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => value(a).localeCompare(value(b), undefined, { numeric: true }));
      body.append(...(down ? rows.reverse() : rows));
    };
    header.addEventListener("click", sort);
  });
}
