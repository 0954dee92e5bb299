// Numbers as people read them, in the units that the dashboards use.

const round = (value) => {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 3).replace(/\.?0+$/, '');
};

const scaled = (value, steps) => {
  let [name, size] = steps[0];
  for (const [each, least] of steps) if (Math.abs(value) >= least) [name, size] = [each, least];
  return `${round(value / (size || 1))}${name}`;
};

const SECONDS = [[' ms', 0.001], [' s', 1], [' min', 60], [' h', 3600], [' d', 86400], [' w', 604800]];
const COUNTS = [['', 1], [' K', 1e3], [' M', 1e6], [' G', 1e9]];
const BYTES = [[' B', 1], [' KiB', 1024], [' MiB', 1048576], [' GiB', 1073741824]];

const FORMATS = {
  s: (value) => (value === 0 ? '0 s' : scaled(value, SECONDS)),
  short: (value) => scaled(value, COUNTS),
  percentunit: (value) => `${round(100 * value)}%`,
  cpm: (value) => `${scaled(value, COUNTS)} c/m`,
  Bps: (value) => `${scaled(value, BYTES)}/s`,
  bytes: (value) => scaled(value, BYTES),
  bool_yes_no: (value) => (value ? 'Yes' : 'No'),
};

export function format(value, unit, decimals) {
  if (unit === 'short' && decimals !== undefined && Math.abs(value) < 1000) return value.toFixed(decimals);
  if (unit === 'percentunit' && decimals !== undefined) return `${(100 * value).toFixed(decimals)}%`;
  return (FORMATS[unit] ?? FORMATS.short)(value);
}

const NAMED = {
  green: '#73BF69', red: '#F2495C', orange: '#FF9830', blue: '#5794F2', purple: '#B877D9',
  text: '#8e939b', 'super-light-blue': '#C0D8FF',
};
export const color = (name) => NAMED[name] ?? name;
export const PALETTE = ['#73BF69', '#F2CC0C', '#8AB8FF', '#FF780A', '#F2495C', '#5794F2', '#B877D9', '#705DA0', '#37872D', '#FADE2A', '#C4162A', '#A352CC'];

// The colour of the highest threshold that is reached.
export function stepColor(value, thresholds) {
  let found = 'text';
  for (const step of thresholds?.steps ?? []) if (step.value === null || value >= step.value) found = step.color;
  return color(found);
}
