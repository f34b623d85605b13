import { referencesIn, type Template } from '../template';

/**
 * The function that a value names, behind its alias where it has one.
 *
 * @param user logical id of what calls it, for errors
 */
export function functionBehind(template: Template, value: unknown, user: string): string {
  for (const id of referencesIn(value)) {
    const resource = template.Resources[id];
    if (resource?.Type === 'AWS::Lambda::Function') return id;
    if (resource?.Type === 'AWS::Lambda::Alias')
      return functionBehind(template, resource.Properties?.FunctionName, user);
  }
  throw new Error(`${user}: its address names no function of the template`);
}
