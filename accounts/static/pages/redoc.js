"use strict";

// ReDoc's mark of its makers would come from their server: pages load nothing of others.
const setAttribute = Element.prototype.setAttribute;
const isOurs = (address) => {
  const { origin, protocol } = new URL(address, location.href);
  return origin === location.origin || protocol === "data:";
};
HTMLImageElement.prototype.setAttribute = function (name, value) {
  if (name !== "src" || isOurs(value)) setAttribute.call(this, name, value);
};
Object.defineProperty(HTMLImageElement.prototype, "src", {
  get() { return this.getAttribute("src"); },
  set(address) { this.setAttribute("src", address); },
});

// ReDoc has one scheme, of our choice; what it mixes of these colours by itself, it mixes for light paper.
const night = {
  colors: {
    primary: { main: "#64c9ac", light: "#8fdcc5" },
    success: { main: "#64c9ac" },
    error: { main: "#f08b80" },
    warning: { main: "#e0b060", dark: "#e0b060" },
    gray: { 50: "#1c211f", 100: "#262d2a" },
    text: { primary: "#e6eae7", secondary: "#9daaa4" },
    border: { dark: "#333b37", light: "#333b37" },
    responses: {
      success: { color: "#64c9ac", backgroundColor: "#18302a", tabTextColor: "#64c9ac" },
      error: { color: "#f08b80", backgroundColor: "#351f1d", tabTextColor: "#f08b80" },
      redirect: { color: "#e0b060", backgroundColor: "#332a18", tabTextColor: "#e0b060" },
      info: { color: "#7db8e8", backgroundColor: "#192a38", tabTextColor: "#7db8e8" },
    },
  },
  schema: { linesColor: "#46504b", nestedBackground: "#1c211f", typeNameColor: "#9daaa4", requireLabelColor: "#f08b80" },
  typography: { code: { color: "#f0a8a0", backgroundColor: "#202624" } },
  sidebar: { backgroundColor: "#1c211f", textColor: "#e6eae7", activeTextColor: "#64c9ac" },
  rightPanel: {
    backgroundColor: "#0d1110",
    textColor: "#e6eae7",
    servers: {
      overlay: { backgroundColor: "#262d2a", textColor: "#e6eae7" },
      url: { backgroundColor: "#1c211f" },
    },
  },
  codeBlock: { backgroundColor: "#1c211f" },
  fab: { backgroundColor: "#333b37", color: "#64c9ac" },
};
const scheme = matchMedia("(prefers-color-scheme: dark)");
scheme.addEventListener("change", () => location.reload());
// The colour of patterns is none of the theme's, and their classes change their names from version to version.
const insertRule = CSSStyleSheet.prototype.insertRule;
if (scheme.matches) CSSStyleSheet.prototype.insertRule = function (rule, place) {
  return insertRule.call(this, rule.replace("#0e7c86", "#5cc3cd"), place);
};

const look = {
  hideDownloadButton: true,
  nativeScrollbars: true,
  sortRequiredPropsFirst: true,
  theme: scheme.matches ? night : { colors: { primary: { main: "#1a6a57" } } },
};
const place = document.getElementById("redoc");
fetch(place.dataset.schema).then((answer) => answer.json()).then((schema) => {
  // ReDoc takes rules between fields for kinds of objects, and shows these in the place of the fields.
  for (const shape of Object.values(schema.components.schemas)) {
    if (shape.properties) delete shape.allOf;
  }
  Redoc.init(schema, look, place);
});
