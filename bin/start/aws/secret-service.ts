import { ServiceError } from './service-error';

/** The part of Secrets Manager that the handlers need: secrets that are text, by name or ARN. */
export class SecretService {
  private readonly secrets = new Map<string, string>();

  /** @throws ServiceError */
  public call(operation: string, input: Readonly<Record<string, unknown>>): object {
    switch (operation) {
      case 'CreateSecret': {
        const [name, text] = [String(input.Name), String(input.SecretString)];
        if (this.secrets.has(name)) throw new ServiceError('ResourceExistsException', `secret ${name} exists`);
        this.secrets.set(name, text);
        return { Name: name, ARN: arnOf(name) };
      }
      case 'GetSecretValue': {
        const id = String(input.SecretId);
        const name = [...this.secrets.keys()].find((known) => known === id || arnOf(known) === id);
        if (name === undefined) {
          throw new ServiceError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
        }
        return { Name: name, ARN: arnOf(name), SecretString: this.secrets.get(name) };
      }
      default:
        throw new ServiceError('UnknownOperationException', `${operation} of Secrets Manager is not served here`);
    }
  }
}

function arnOf(name: string): string {
  return `arn:aws:secretsmanager:us-east-1:000000000000:secret:${name}-locals`;
}
