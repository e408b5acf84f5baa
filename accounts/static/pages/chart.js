// Charts in the place of the server's drawings: the same numbers, each to be read. What an element with
// ``data-chart`` says is drawn before its drawing, which is hidden then; colours are those of its legend.

const { Chart } = window; // Chart.js, which is no module
const language = document.documentElement.lang;
const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const share = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(language, { maximumSignificantDigits: 6 });
const short = new Intl.NumberFormat(language, { notation: "compact" });

// Amounts are whole numbers of a small unit; ``per`` of them are one that people read.
function writer({ per, least, most, sign }) {
  const written = new Intl.NumberFormat(language, { minimumFractionDigits: least, maximumFractionDigits: most });
  return (value) => written.format(value / per) + (sign && `\u00a0${sign}`);
}

function styled(place) {
  const style = getComputedStyle(place);
  return Object.fromEntries(["card", "text", "quiet", "line"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

// In the colours that the style sheet has at the moment.
function paint({ data, options }, place) {
  const { card, text, quiet, line } = styled(place);
  for (const [number, mark] of place.querySelectorAll(".legend rect").entries()) {
    const colour = getComputedStyle(mark).fill;
    Object.assign(data.datasets[number], { backgroundColor: colour, borderColor: colour });
  }
  for (const scale of Object.values(options.scales)) {
    scale.ticks.color = quiet;
    scale.grid.color = line;
    scale.border.color = line;
  }
  Object.assign(options.plugins.tooltip, { backgroundColor: text, titleColor: card, bodyColor: card, footerColor: card });
}

function total(told, place) {
  return told.series.reduce((sum, { values }) => sum + (values[place] ?? 0), 0);
}

function tooltip(told, write) {
  const isWhole = told.kind === "columns"; // of which each series is a part
  return {
    filter: ({ raw }) => (isWhole ? raw > 0 : raw !== null),
    callbacks: {
      title: ([first]) => (first ? told.moments[first.dataIndex] : ""),
      label: ({ dataset, dataIndex, raw }) => {
        const part = isWhole ? ` · ${share.format(raw / total(told, dataIndex))}` : "";
        return ` ${dataset.label}: ${write(raw)}${part}`;
      },
      footer: ([first]) => (isWhole && first ? `${told.sum}: ${write(total(told, first.dataIndex))}` : ""),
    },
  };
}

function scales(told) {
  const { per, sign } = told.unit;
  const stacked = told.kind === "columns";
  return {
    x: {
      stacked,
      grid: { display: false },
      border: {},
      ticks: { maxRotation: 0, autoSkipPadding: 12, callback: (_, place) => told.ticks[place] },
    },
    y: {
      stacked,
      beginAtZero: true,
      grid: {},
      border: { display: false },
      ticks: { maxTicksLimit: 6, callback: (value) => (value < 1e6 * per ? whole : short).format(value / per) + (sign && `\u00a0${sign}`) },
    },
  };
}

function settings(told) {
  const { fontFamily } = getComputedStyle(document.body);
  return {
    type: told.kind === "columns" ? "bar" : "line",
    data: {
      labels: told.moments,
      datasets: told.series.map(({ name, values }) => ({ label: name, data: values, maxBarThickness: 64, pointRadius: 2 })),
    },
    options: {
      animation: isCalm ? false : { duration: 250 },
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      font: { family: fontFamily },
      scales: scales(told),
      plugins: { colors: { enabled: false }, legend: { display: false }, tooltip: tooltip(told, writer(told.unit)) },
    },
  };
}

// Each name of the legend switches its series off and on; the only one is not to be switched.
function makeSwitches(chart, items) {
  if (items.length < 2) return;
  for (const [number, item] of items.entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.ariaPressed = "true";
    button.append(...item.childNodes);
    item.append(button);
    button.addEventListener("click", () => {
      const isShown = !chart.isDatasetVisible(number);
      chart.setDatasetVisibility(number, isShown);
      button.ariaPressed = String(isShown);
      chart.update();
    });
  }
}

function draw(place) {
  const told = JSON.parse(place.dataset.chart);
  const still = place.querySelectorAll(":scope > svg, [data-still]");
  const box = document.createElement("div");
  const canvas = document.createElement("canvas");
  box.className = "canvas";
  canvas.role = "img";
  canvas.ariaLabel = told.label;
  box.append(canvas);
  place.querySelector(":scope > svg").before(box);
  const wanted = settings(told);
  paint(wanted, place);
  makeSwitches(new Chart(canvas, wanted), place.querySelectorAll(".legend li"));
  for (const each of still) each.toggleAttribute("hidden", true);
}

function drawAll(within) {
  for (const place of within.querySelectorAll("[data-chart]")) if (!place.querySelector("canvas")) draw(place);
}

if (Chart) {
  drawAll(document);
  // Of htmx, where it is: what has come, and what goes.
  addEventListener("htmx:load", ({ detail }) => drawAll(detail.elt));
  addEventListener("htmx:beforeCleanupElement", ({ target }) => {
    if (target instanceof HTMLCanvasElement) Chart.getChart(target)?.destroy();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const chart of Object.values(Chart.instances)) {
      paint(chart, chart.canvas.closest("[data-chart]"));
      chart.update(); // "none" would leave columns as they are
    }
  });
}
