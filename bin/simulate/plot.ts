import { type FirstTokenObjective, lowerBound, measure } from './measures';
import type { Scenario, SimulationResult } from './simulation';

const WIDTH = 860;
const LEFT = 64;
const RIGHT = 130;
const PANEL_HEIGHT = 130;
const PANEL_GAP = 46;
const TOP = 44;
/** Windows in which arrivals are counted and latencies measured. */
const WINDOWS = 144;
const COLOURS = {
  blue: '#1f6feb',
  grey: '#9aa4b2',
  red: '#cf222e',
  green: '#1a7f37',
  text: '#3b4350',
  grid: '#e3e7ec',
};

/** One line of a panel. NaN breaks it. */
interface Curve {
  readonly label: string;
  readonly colour: string;
  readonly points: readonly (readonly [at: number, value: number])[];
  readonly stepped?: boolean;
}

interface Panel {
  readonly title: string;
  readonly curves: readonly Curve[];
  readonly logarithmic?: boolean;
}

/** Draws a run's load, capacity and latency over time as an SVG image. */
export function plotSvg(
  title: string,
  scenario: Scenario,
  result: SimulationResult,
  objective: FirstTokenObjective,
): string {
  const { trace, zoneLoss } = scenario;
  const length = Math.max(trace.duration, 1);
  const panels = panelsOf(scenario, result, objective, length);
  const height = TOP + panels.length * (PANEL_HEIGHT + PANEL_GAP);
  const x = (at: number) => LEFT + (at / length) * (WIDTH - LEFT - RIGHT);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(LEFT, 20, title, { size: 14 }),
    ...panels.flatMap((panel, index) => drawPanel(panel, TOP + 14 + index * (PANEL_HEIGHT + PANEL_GAP), x, length)),
    ...(zoneLoss
      ? [
          `<line x1="${px(x(zoneLoss.atSeconds))}" x2="${px(x(zoneLoss.atSeconds))}" y1="${TOP}" y2="${height - PANEL_GAP + 14}" stroke="${COLOURS.red}" stroke-dasharray="3 3"/>`,
          text(x(zoneLoss.atSeconds) + 4, TOP + 4, 'zone lost', { colour: COLOURS.red }),
        ]
      : []),
    '</svg>',
    '',
  ].join('\n');
}

function panelsOf(
  scenario: Scenario,
  result: SimulationResult,
  objective: FirstTokenObjective,
  length: number,
): Panel[] {
  const { arrivals } = scenario.trace;
  const width = length / WINDOWS;
  const windows = Array.from({ length: WINDOWS }, (_, index) => {
    const [from, to] = [index * width, index === WINDOWS - 1 ? Infinity : (index + 1) * width];
    return {
      at: (index + 0.5) * width,
      rate: (lowerBound(arrivals, to) - lowerBound(arrivals, from)) / width,
      ...measure(result.requests, objective, { from, to }),
    };
  });
  const sampled = (value: (sample: SimulationResult['samples'][number]) => number) =>
    result.samples.map((sample) => [sample.at, value(sample)] as const);
  return [
    {
      title: 'load: requests a second',
      curves: [{ label: 'arrivals', colour: COLOURS.blue, points: windows.map(({ at, rate }) => [at, rate]) }],
    },
    {
      title: 'capacity: instances',
      curves: [
        { label: 'paid for', colour: COLOURS.grey, points: sampled(({ paid }) => paid), stepped: true },
        { label: 'in service', colour: COLOURS.blue, points: sampled(({ inService }) => inService), stepped: true },
      ],
    },
    {
      title: 'latency: seconds to the first token',
      logarithmic: true,
      curves: [
        { label: 'p99', colour: COLOURS.red, points: windows.map((window) => [window.at, window.firstTokenP99]) },
        { label: 'p50', colour: COLOURS.green, points: windows.map((window) => [window.at, window.firstTokenP50]) },
      ],
    },
  ];
}

function drawPanel(panel: Panel, top: number, x: (at: number) => number, length: number): string[] {
  const values = panel.curves.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite);
  const ticks = panel.logarithmic ? decades(values) : roundTicks(Math.max(1e-9, ...values));
  const [low, high] = [ticks[0]!, ticks.at(-1)!];
  const scale = (value: number) => (panel.logarithmic ? Math.log10(Math.max(low, value)) : value);
  const y = (value: number) =>
    top + PANEL_HEIGHT * (1 - (scale(value) - scale(low)) / Math.max(1e-9, scale(high) - scale(low)));
  const right = WIDTH - RIGHT;
  const { ticks: times, unit } = timeTicks(length);
  return [
    text(LEFT, top - 8, panel.title),
    ...ticks.map(
      (tick) => `<line x1="${LEFT}" x2="${right}" y1="${px(y(tick))}" y2="${px(y(tick))}" stroke="${COLOURS.grid}"/>`,
    ),
    ...ticks.map((tick) => text(LEFT - 6, y(tick) + 4, String(Number(tick.toPrecision(3))), { anchor: 'end' })),
    ...times.map(({ at, label }) => text(x(at), top + PANEL_HEIGHT + 15, label, { anchor: 'middle' })),
    text(right + 16, top + PANEL_HEIGHT + 15, unit),
    ...panel.curves.map(
      ({ points, colour, stepped }) =>
        `<path d="${path(points, x, y, stepped ?? false)}" fill="none" stroke="${colour}" stroke-width="1.4" stroke-linejoin="round"/>`,
    ),
    ...panel.curves.map(({ label, colour }, index) => text(right + 8, top + 12 + 15 * index, label, { colour })),
  ];
}

function path(
  points: Curve['points'],
  x: (at: number) => number,
  y: (value: number) => number,
  stepped: boolean,
): string {
  let pen = false;
  let before = NaN;
  return points
    .flatMap(([at, value], index) => {
      if (!Number.isFinite(value)) {
        pen = false;
        return [];
      }
      const isLast = index === points.length - 1;
      // A size that stays as it is needs no point of its own.
      if (stepped && pen && value === before && !isLast) return [];
      before = value;
      if (!pen) {
        pen = true;
        return [`M${px(x(at))} ${px(y(value))}`];
      }
      return stepped ? [`H${px(x(at))}V${px(y(value))}`] : [`L${px(x(at))} ${px(y(value))}`];
    })
    .join('');
}

/** Round values from 0 to the greatest, about so many. */
function roundTicks(greatest: number, count = 4): number[] {
  const rough = greatest / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  return Array.from({ length: Math.ceil(greatest / step - 1e-9) + 1 }, (_, index) => index * step);
}

/** Powers of ten around the values. */
function decades(values: readonly number[]): number[] {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive, 1)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive, 0.1))));
  return Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
}

function timeTicks(length: number): {
  readonly ticks: readonly { at: number; label: string }[];
  readonly unit: string;
} {
  const [unit, seconds] = length > 7200 ? ['hours', 3600] : length > 300 ? ['minutes', 60] : ['seconds', 1];
  const ticks = roundTicks(length / seconds, 12).filter((tick) => tick * seconds <= length);
  return { unit, ticks: ticks.map((tick) => ({ at: tick * seconds, label: String(Number(tick.toPrecision(3))) })) };
}

function text(
  x: number,
  y: number,
  content: string,
  options: { anchor?: string; colour?: string; size?: number } = {},
): string {
  const { anchor = 'start', colour = COLOURS.text, size } = options;
  const safe = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${px(x)}" y="${px(y)}" fill="${colour}" text-anchor="${anchor}"${size ? ` font-size="${size}"` : ''}>${safe}</text>`;
}

/** A coordinate, to a tenth of a pixel. */
function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}
