import { stored } from "./stored";

export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

export const theme = stored<Theme>("intime.theme", themes);

/** Keeps the page in the chosen theme, and with the system's where that is the choice. */
export function followTheme(): () => void {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const choice = theme.get();
    document.documentElement.classList.toggle("dark", choice === "dark" || (choice === "system" && system.matches));
  };
  apply();
  const unsubscribe = theme.subscribe(apply);
  system.addEventListener("change", apply);
  return () => {
    unsubscribe();
    system.removeEventListener("change", apply);
  };
}
