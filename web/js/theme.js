// Before the first paint: the theme that this reader chose, if any.
(() => {
  try {
    const theme = localStorage.getItem("tessera-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // A browser that keeps nothing shows its own theme.
  }
})();
