/** The rule of quarantine for a file that a malware scan keeps from being read. */
export const SCAN_RULE = 'scan';

/** A malware scan has found something in a file, or could not look through it: it cannot be read. */
export class UncleanFile extends Error {
  public override readonly name = 'UncleanFile';

  /** @param status what the scan says of the file */
  public constructor(public readonly status: string) {
    super(`is not clean: the malware scan says ${status}`);
  }
}

/** A file waits for its malware scan. The state machine knows this by its name, and waits longer than for what else fails. */
export class NotYetScanned extends Error {
  public override readonly name = 'NotYetScanned';
}
