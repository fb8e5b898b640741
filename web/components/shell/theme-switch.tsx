"use client";

import { type LucideIcon, Monitor, Moon, Sun } from "lucide-react";
import { lazy } from "react";
import { LazyMenu } from "@/components/lazy-menu";
import { Button } from "@/components/ui/button";
import { useStored } from "@/lib/stored";
import { type Theme, theme, themes } from "@/lib/theme";

const load = () => import("@/components/choice-menu");
const ChoiceMenu = lazy(() => load().then((menu) => ({ default: menu.ChoiceMenu })));

const shown: Record<Theme, { label: string; icon: LucideIcon }> = {
  system: { label: "As the system", icon: Monitor },
  light: { label: "Light", icon: Sun },
  dark: { label: "Dark", icon: Moon },
};

export function ThemeSwitch() {
  const choice = useStored(theme, "system");
  const { label, icon: Icon } = shown[choice];
  const trigger = (
    <Button variant="ghost" size="icon" aria-label={`Theme: ${label}`} title={`Theme: ${label}`}>
      <Icon />
    </Button>
  );
  return (
    <LazyMenu load={load} trigger={trigger}>
      {(menu) => (
        <ChoiceMenu
          {...menu}
          value={choice}
          options={themes.map((value) => ({ value, label: shown[value].label }))}
          onChoose={(value) => theme.set(themes.find((known) => known === value) ?? "system")}
        />
      )}
    </LazyMenu>
  );
}
