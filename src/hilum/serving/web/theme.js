/** Dark or light: as the system asks, until somebody chooses. The choice lives as long as the tab. */

const STORED_AS = "hilum-theme";

/** @param {HTMLElement} button */
export function startTheme(button) {
  const system = window.matchMedia("(prefers-color-scheme: light)");
  const now = () => document.documentElement.dataset.theme ?? (system.matches ? "light" : "dark");
  const name = () => {
    const other = now() === "dark" ? "light" : "dark";
    button.textContent = other === "dark" ? "Dark" : "Light";
    button.setAttribute("aria-label", `Switch to ${other} colours`);
  };
  const stored = sessionStorage.getItem(STORED_AS);
  if (stored !== null) document.documentElement.dataset.theme = stored;
  button.addEventListener("click", () => {
    const chosen = now() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    sessionStorage.setItem(STORED_AS, chosen);
    name();
  });
  system.addEventListener("change", name);
  name();
}
