/** The environment's variables, as Node holds them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A variable that the function cannot run without.
 *
 * @throws where it is not set, at the function's start and not at its first request
 */
export function requiredVariable(environment: Environment, name: string): string {
  const value = environment[name];
  if (!value) throw new Error(`the environment variable ${name} must be set`);
  return value;
}
