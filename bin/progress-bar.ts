const WIDTH = 30;

/** Where a progress bar is drawn. */
export interface ProgressOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * A bar on one line of a terminal, which is gone when it is full. Where the output is no terminal nothing is written:
 * a log has no use for it.
 *
 * @returns takes the share that is done, 0 to 1
 */
export function progressBar(label: string, output: ProgressOutput): (share: number) => void {
  if (!output.isTTY) return () => undefined;
  let shown = -1;
  return (share) => {
    const percent = Math.floor(100 * Math.min(1, Math.max(0, share)));
    if (percent === shown) return;
    shown = percent;
    const filled = Math.round((WIDTH * percent) / 100);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}`;
    output.write(percent === 100 ? '\r\u001b[2K' : `\r${label}  ${bar} ${String(percent).padStart(3)} %`);
  };
}
