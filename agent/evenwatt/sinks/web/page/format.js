// Numbers as this reader's locale writes them. What is not known has no digits.

export const UNKNOWN = "–";
const locale = navigator.language || "en";
const known = (value) => typeof value === "number" && Number.isFinite(value);
const cache = new Map();
const format = (options) => {
  const key = JSON.stringify(options);
  if (!cache.has(key)) cache.set(key, new Intl.NumberFormat(locale, options));
  return cache.get(key);
};
const currencies = new Map();
const currencyOptions = (currency) => {
  if (!currencies.has(currency)) {
    try {
      new Intl.NumberFormat(locale, { style: "currency", currency });
      currencies.set(currency, { style: "currency", currency, currencyDisplay: "narrowSymbol" });
    } catch {
      currencies.set(currency, null); // no ISO code: the word stands beside the number
    }
  }
  return currencies.get(currency);
};
const moneyWith = (value, currency, digits) => {
  const options = currencyOptions(currency);
  if (options) return format({ ...options, ...digits }).format(value);
  return `${format(digits).format(value)} ${currency}`;
};

export const number = (value, most = 1, least = 0) => known(value)
  ? format({ maximumFractionDigits: most, minimumFractionDigits: least }).format(value) : UNKNOWN;
export const significant = (value, digits = 3) => known(value)
  ? format({ maximumSignificantDigits: digits }).format(value) : UNKNOWN;

export const money = (value, currency) => {
  if (!known(value)) return UNKNOWN;
  if (value !== 0 && Math.abs(value) < 0.005) return `< ${moneyWith(0.01, currency, {})}`;
  const whole = Math.abs(value) >= 10_000;
  return moneyWith(value, currency, { minimumFractionDigits: whole ? 0 : 2, maximumFractionDigits: whole ? 0 : 2 });
};
// At an axis, where the most of it says how fine the others have to be.
export const moneyTick = (value, currency, most) => (most < 0.05 ? perMtok(value, currency) : money(value, currency).replace(/[.,]00(?=\D*$)/, ""));
export const perMtok = (value, currency) => {
  if (value === "never" || value === Infinity) return "∞";
  if (!known(value)) return UNKNOWN;
  if (value >= 0.995 || value === 0) return moneyWith(value, currency, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  return moneyWith(value, currency, { maximumSignificantDigits: 3, minimumSignificantDigits: 2 });
};
export const percent = (value, digits = 0) => {
  if (!known(value)) return UNKNOWN;
  if (value > 0 && value < 0.001) return `< ${format({ style: "percent", maximumFractionDigits: 1 }).format(0.001)}`;
  const most = value < 0.1 && value > 0 ? Math.max(digits, 1) : digits;
  return format({ style: "percent", maximumFractionDigits: most }).format(value);
};
export const compact = (value) => known(value)
  ? format({ notation: "compact", maximumSignificantDigits: 3 }).format(value) : UNKNOWN;
export const watts = (value) => {
  if (!known(value)) return UNKNOWN;
  return value >= 10_000 ? `${number(value / 1000, 1)} kW` : `${number(value, value < 10 ? 1 : 0)} W`;
};
export const kwh = (joules) => (known(joules) ? `${significant(joules / 3.6e6, 4)} kWh` : UNKNOWN);
export const bytes = (value) => {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  let scaled = value;
  while (scaled >= 1024 && power < units.length - 1) { scaled /= 1024; power += 1; }
  return `${significant(scaled, 3)} ${units[power]}`;
};
export const duration = (seconds) => {
  if (!known(seconds)) return UNKNOWN;
  for (const [unit, length] of [["d", 86_400], ["h", 3_600], ["min", 60]]) {
    if (seconds >= 2 * length) return `${Math.round(seconds / length)} ${unit}`;
  }
  return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
};
export const never = (value, asText) => (value === "never" ? "never" : asText(value));

const zones = new Map();
const zoned = (zone, options) => {
  const key = `${zone} ${JSON.stringify(options)}`;
  if (!zones.has(key)) {
    try {
      zones.set(key, new Intl.DateTimeFormat(locale, { timeZone: zone, ...options }));
    } catch {
      zones.set(key, new Intl.DateTimeFormat(locale, options)); // a zone that this browser does not know
    }
  }
  return zones.get(key);
};
export const moment = (utcSeconds, zone) => known(utcSeconds)
  ? zoned(zone, { dateStyle: "medium", timeStyle: "short" }).format(utcSeconds * 1000) : UNKNOWN;
export const clockTime = (utcSeconds, zone) => known(utcSeconds)
  ? zoned(zone, { timeStyle: "medium" }).format(utcSeconds * 1000) : UNKNOWN;
export const axisTime = (utcSeconds, span, zone) => {
  const options = span > 300 * 86_400 ? { month: "short", year: "numeric" } : span >= 3 * 86_400 ? { month: "short", day: "numeric" }
    : span > 86_400 ? { weekday: "short", hour: "2-digit", minute: "2-digit" } : span > 600 ? { hour: "2-digit", minute: "2-digit" } : { timeStyle: "medium" };
  return zoned(zone, options).format(utcSeconds * 1000);
};
export const day = (iso) => zoned("UTC", { month: "short", day: "numeric" }).format(new Date(`${iso}T00:00:00Z`));
export const weekdays = (style = "short") => [0, 1, 2, 3, 4, 5, 6]
  .map((number_) => zoned("UTC", { weekday: style }).format(new Date(Date.UTC(2024, 0, 1 + number_))));
export const COMPONENTS = ["hardware", "energy", "labour", "other"];
export const COMPONENT_NAMES = { hardware: "hardware", energy: "electricity", labour: "labour", other: "other" };
export const WINDOWS = { "24h": "24 hours", "7d": "7 days", "30d": "30 days" };
