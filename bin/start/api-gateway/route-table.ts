/** A route that fits a request, with the values of its path parameters. */
export interface RouteMatch<Route> {
  readonly route: Route;
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * The route for a request: a literal part wins over `{a parameter}`, which wins over `{the rest+}`; a named method wins
 * over `ANY`.
 */
export function findRoute<Route extends { readonly method: string; readonly path: string }>(
  routes: readonly Route[],
  method: string,
  path: string,
): RouteMatch<Route> | undefined {
  const fitting = routes
    .filter((route) => route.method === method || route.method === 'ANY')
    .flatMap((route) => {
      const parameters = parametersOf(route.path, path);
      return parameters ? [{ route, parameters }] : [];
    });
  return fitting.sort((a, b) => generality(a.route) - generality(b.route))[0];
}

function parametersOf(template: string, path: string): Record<string, string> | undefined {
  const names = template.split('/');
  const parts = path.split('/');
  const parameters: Record<string, string> = {};
  for (const [position, name] of names.entries()) {
    const part = parts[position];
    if (part === undefined) return undefined;
    if (/^\{.+\+\}$/.test(name)) {
      parameters[name.slice(1, -2)] = parts.slice(position).map(decoded).join('/');
      return parameters;
    }
    if (/^\{.+\}$/.test(name)) {
      if (part === '') return undefined;
      parameters[name.slice(1, -1)] = decoded(part);
    } else if (name !== part) {
      return undefined;
    }
  }
  return parts.length === names.length ? parameters : undefined;
}

function generality({ method, path }: { readonly method: string; readonly path: string }): number {
  const parameters = path.match(/\{[^/]+\}/g) ?? [];
  const greedy = parameters.filter((parameter) => parameter.endsWith('+}'));
  return parameters.length * 2 + greedy.length * 1000 + (method === 'ANY' ? 1 : 0);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
