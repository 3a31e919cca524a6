// Light, dark, or what the system says.

const ORDER = ["system", "light", "dark"];

export function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

export function isDark() {
  const chosen = theme();
  return chosen === "dark" || (chosen === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
}

/** Calls `listener` now and whenever the page turns light or dark. */
export function watchTheme(listener) {
  listener(isDark());
  addEventListener("themechange", () => listener(isDark()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => listener(isDark()));
}

export function equipThemeButton(button) {
  const show = () => {
    button.textContent = `Theme: ${theme()}`;
  };
  button.addEventListener("click", () => {
    const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
    if (next === "system") {
      delete document.documentElement.dataset.theme;
      localStorage.removeItem("theme");
    } else {
      document.documentElement.dataset.theme = next;
      localStorage.setItem("theme", next);
    }
    show();
    dispatchEvent(new Event("themechange"));
  });
  show();
}
