/** Returns the first letters of the first and the last name. */
export function initials(fullName: string): string {
  const names = fullName.trim().split(/\s+/).filter(Boolean);
  const ends = names.length > 1 ? [names[0], names.at(-1)] : names;
  return ends.map((name) => name?.[0]?.toUpperCase() ?? "").join("");
}

const spelled: Record<string, string> = { hr_manager: "HR manager" };

/** Returns a role's name for people: "super_admin" is "Super admin". */
export function roleName(role: string): string {
  const words = role.replaceAll("_", " ");
  return spelled[role] ?? words.charAt(0).toUpperCase() + words.slice(1);
}
