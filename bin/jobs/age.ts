const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** An age such as `90s`, `15m`, `2h` or `3d`, in milliseconds; undefined for what is none. */
export function ageIn(text: string): number | undefined {
  const [, number, unit] = /^(\d+)([smhd])$/.exec(text) ?? [];
  return number === undefined || unit === undefined ? undefined : Number(number) * UNITS[unit]!;
}
