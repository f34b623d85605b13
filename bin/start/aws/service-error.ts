/** A refusal in the words that the service has for it. */
export class ServiceError extends Error {
  /**
   * @param code such as `NoSuchKey` or `ValidationException`
   * @param detail further fields of a refusal in JSON
   */
  public constructor(
    public readonly code: string,
    message: string,
    public readonly status = 400,
    public readonly detail: object = {},
  ) {
    super(message);
  }
}
