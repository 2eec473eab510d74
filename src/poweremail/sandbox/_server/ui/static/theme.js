// Runs before the page is drawn, so that an earlier choice shows at once. Without one, the system's theme is used.
(() => {
  const root = document.documentElement;
  const saved = () => {
    try {
      return localStorage.getItem("poweremail-theme");
    } catch {
      return null; // storage can be switched off
    }
  };
  const apply = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  };
  apply(saved());
  window.toggleTheme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const theme = dark ? "light" : "dark";
    apply(theme);
    try {
      localStorage.setItem("poweremail-theme", theme);
    } catch {
      // the choice then lasts as long as the page
    }
  };
})();
