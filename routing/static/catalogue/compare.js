// Models ticked for a comparison stay ticked while searches replace the list. Without it ticks are of one list.

const ticked = new Map(); // slug -> what it is called
const boxes = () => [...document.querySelectorAll('.found input[name="m"], .models input[name="m"]')];

function note({ target: box }) {
  if (!box.matches?.('input[name="m"]')) return;
  if (box.checked) ticked.set(box.value, box.dataset.name);
  else ticked.delete(box.value);
}

// Of those that the list has no longer, a tick with a name stands beside the button.
function elsewhere([slug, name]) {
  const box = Object.assign(document.createElement("input"), { type: "checkbox", name: "m", value: slug, checked: true });
  box.dataset.name = name;
  const label = document.createElement("label");
  label.append(box, ` ${name}`);
  return label;
}

function restore() {
  const shown = boxes();
  for (const box of shown) box.checked = ticked.has(box.value);
  const gone = [...ticked].filter(([slug]) => !shown.some((box) => box.value === slug));
  document.querySelector(".found")?.append(...gone.map(elsewhere));
}

addEventListener("change", note);
addEventListener("htmx:afterSettle", restore);
addEventListener("htmx:historyRestore", restore);
// A browser that comes back to the page has ticked them again.
for (const box of boxes()) note({ target: box });
