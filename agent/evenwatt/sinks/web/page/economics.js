// The formulas of evenwatt.economics.whatif, line by line; a test holds both against the same vectors.

export const changedLine = (parts, change) => ({
  fixed_cost_per_hour: change.hardware_factor * parts.hardware_cost_per_hour
    + parts.labour_cost_per_hour
    + parts.other_cost_per_hour
    + change.electricity_factor * parts.idle_energy_cost_per_hour,
  load_cost_per_hour: change.electricity_factor * parts.load_energy_cost_per_hour,
  mtok_per_hour: parts.mtok_per_hour,
});

export const costPerMtokAtLoad = (line, load) => {
  const mtok = line.mtok_per_hour * load;
  return mtok ? (line.fixed_cost_per_hour + line.load_cost_per_hour * load) / mtok : null;
};

// Infinity is never.
export const breakEvenLoad = (line, pricePerMtok) => {
  const margin = line.mtok_per_hour * pricePerMtok - line.load_cost_per_hour;
  if (margin <= 0 || line.fixed_cost_per_hour > margin) return Infinity;
  return line.fixed_cost_per_hour / margin;
};

export const whatIf = (parts, change, pricePerMtok, monthHours) => {
  const line = changedLine(parts, change);
  const load = change.load_ratio;
  const mtok = line.mtok_per_hour * load * monthHours;
  const own = (line.fixed_cost_per_hour + line.load_cost_per_hour * load) * monthHours;
  const bill = mtok * pricePerMtok;
  return {
    cost_per_mtok: costPerMtokAtLoad(line, load),
    break_even_load_ratio: breakEvenLoad(line, pricePerMtok),
    mtok_per_month: mtok,
    own_cost_per_month: own,
    api_cost_per_month: bill,
    saved_per_month: bill - own,
  };
};
