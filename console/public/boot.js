// Runs before the first paint, so that a chosen theme and language never flash.
try {
  const theme = localStorage.getItem("dougong.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  const locale = localStorage.getItem("dougong.locale");
  if (locale) document.documentElement.lang = locale;
} catch {
  // Storage may be forbidden; the system's theme serves.
}
