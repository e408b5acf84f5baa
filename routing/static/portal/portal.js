"use strict";
// What Unfold and Select2 leave without a name, fields and the page's main part: who does not see it hears it.
{
  const PARTS = "[role=combobox], [role=textbox], [role=searchbox]";
  const named = (field) => field.labels?.[0]?.textContent.trim() || field.closest("[data-label]")?.dataset.label;

  const nameAll = () => {
    for (const box of document.querySelectorAll("select + .select2-container")) {
      const select = box.previousElementSibling;
      for (const part of box.querySelectorAll(PARTS)) part.setAttribute("aria-label", named(select) || select.name);
    }
    for (const field of document.querySelectorAll("td[data-label] :is(input:not([type=hidden]), select, textarea)")) {
      if (!field.labels.length) field.setAttribute("aria-label", named(field));
    }
    for (const tip of document.querySelectorAll(".help-tooltip[aria-label]")) tip.setAttribute("role", "img");
  };

  // Both make their fields at moments of their own, and rows are added later.
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("main")?.setAttribute("role", "main");
    nameAll();
    new MutationObserver(nameAll).observe(document.body, { childList: true, subtree: true });
  });
}
