import { type AwsService, callJson } from './service';

/** A secret is read again after this time, so that one that was rotated comes into use. */
const FRESH_MS = 300_000;

/** A secret of Secrets Manager that is text. It is read when it is first asked for, and then every five minutes. */
export class Secret {
  private held: { readonly value: Promise<string>; readonly until: number } | undefined;

  /** @param now milliseconds, of any clock that does not go back */
  public constructor(
    private readonly service: AwsService,
    private readonly arn: string,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** @throws AwsError where it cannot be read; the next call tries anew */
  public value(): Promise<string> {
    if (this.held && this.now() < this.held.until) return this.held.value;
    const value = this.read();
    const held = { value, until: this.now() + FRESH_MS };
    this.held = held;
    value.catch(() => {
      if (this.held === held) this.held = undefined;
    });
    return value;
  }

  private async read(): Promise<string> {
    const input = { SecretId: this.arn };
    const answer = await callJson(this.service, 'secretsmanager.GetSecretValue', input, { version: '1.1' });
    const { SecretString: text } = answer as { readonly SecretString?: string };
    if (text === undefined) throw new Error(`secret ${this.arn} holds no text`);
    return text;
  }
}
