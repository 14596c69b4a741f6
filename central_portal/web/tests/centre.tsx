import { readFileSync } from 'node:fs';
import { I18nProvider } from '@lingui/react';
import {
  createMemoryHistory, createRootRoute, createRoute, createRouter, RouterProvider,
} from '@tanstack/react-router';
import { render } from '@testing-library/react';
import { buildSchema, graphql } from 'graphql';
import type { ReactNode } from 'react';
import { fetchExchange, Provider, subscriptionExchange } from 'urql';
import { createGraphqlClient } from '../src/api/client';
import type { FacilityFull, FlavourFull } from '../src/facilities/queries';
import { i18n } from '../src/i18n';
import { formatAddress, parseAddress } from '../src/lib/address';

const schema = buildSchema(readFileSync(`${process.cwd()}/../api/schema.graphql`, 'utf8'));

/** Resolvers of the root fields, by name. */
export type Roots = Record<string, (variables: never) => unknown>;

/** A centre that answers by the committed schema; `roots` says what. Requests are counted by operation name. */
export class Centre {
  readonly asked: string[] = [];
  roots: Roots;
  reachable = true;

  /** Who watches: what each was opened with, and where its events go. */
  readonly watching: { query: string; variables: Record<string, unknown>; next: (result: never) => void }[] = [];

  constructor(roots: Roots) {
    this.roots = { signInProviders: () => [{ id: 'umbrella', title: 'UmbrellaID', url: '/signin/umbrella' }], ...roots };
  }

  /** An event of every open subscription of this field whose variables are these. */
  async tell(field: string, event: unknown, variables: Record<string, unknown> = {}): Promise<void> {
    for (const watcher of this.watching) {
      if (!watcher.query.includes(`${field}(`) || !Object.entries(variables).every(([name, value]) => watcher.variables[name] === value)) continue;
      const result = await graphql({ schema, source: watcher.query, variableValues: watcher.variables, rootValue: { [field]: event } });
      watcher.next(result as never);
    }
  }

  readonly subscribe = (operation: { query?: string; variables?: unknown }) => ({
    subscribe: (sink: { next: (result: never) => void }) => {
      const watcher = { query: operation.query ?? '', variables: (operation.variables ?? {}) as Record<string, unknown>, next: sink.next.bind(sink) };
      this.watching.push(watcher);
      return { unsubscribe: () => void this.watching.splice(this.watching.indexOf(watcher), 1) };
    },
  });

  readonly fetch: typeof fetch = async (_address, request) => {
    const { query, variables, operationName } = JSON.parse(String(request?.body));
    this.asked.push(operationName);
    if (!this.reachable) throw new TypeError('The network is gone.');
    const result = await graphql({ schema, source: query, variableValues: variables, rootValue: this.roots });
    return new Response(JSON.stringify(result), { headers: { 'content-type': 'application/json' } });
  };
}

/** Draws `element` at `path`, which `at` is the pattern of, with a centre behind it; other paths say their own name. */
export async function show(element: ReactNode, centre: Centre, path = '/', at = '/') {
  const root = createRootRoute();
  const here = createRoute({ getParentRoute: () => root, path: at as '/', component: () => element });
  const paths = ['/workspaces', '/launch', '/connect/$slug', '/search', '/proposals', '/proposals/$id', '/facilities/$slug', '/datasets/$id'];
  const others = paths.filter((each) => each !== at).map((each) =>
    createRoute({ getParentRoute: () => root, path: each as '/', component: () => <p>at {each}</p> }),
  );
  const history = createMemoryHistory({ initialEntries: [path] });
  const router = createRouter({
    routeTree: root.addChildren([here, ...others]), history, parseSearch: parseAddress, stringifySearch: formatAddress,
  });
  await router.load();
  const client = createGraphqlClient(
    'http://portal.test/graphql',
    [fetchExchange, subscriptionExchange({ forwardSubscription: centre.subscribe as never })],
    centre.fetch,
  );
  const view = render(
    <I18nProvider i18n={i18n}>
      <Provider value={client}>
        <RouterProvider router={router as never} />
      </Provider>
    </I18nProvider>,
  );
  return { ...view, router };
}

const GIB = 2 ** 30;
const flavour = (slug: string, cpus: number, longestSeconds: number): FlavourFull => ({
  id: `V:${slug}`, slug, title: slug[0]?.toUpperCase() + slug.slice(1), cpus, memory: cpus * 4 * GIB, gpus: 0, storage: 1e9, longestSeconds,
});

/** A facility with a notebook in two sizes and a desktop in two. */
export function facility(slug: string, more: Partial<FacilityFull> = {}): FacilityFull {
  const [small, medium, large] = [flavour('small', 1, 24 * 3600), flavour('medium', 4, 24 * 3600), flavour('large', 16, 8 * 3600)];
  const environment = {
    description: '', carriedBy: 'PROCESS' as const, isolation: 'NONE' as const, software: [{ name: 'pyFAI', version: '2025.3' }],
  };
  return {
    id: `F:${slug}`, slug, name: 'Alpha Light Source', place: '', country: '', description: '', website: null, dataPortal: null,
    contact: null, state: 'ONLINE', stateSince: null, agentVersion: null, describedAt: null, instruments: [], openProposals: ['OPEN-1'],
    capabilities: [], services: [], accountLink: null,
    environments: [
      {
        ...environment, id: 'E:jupyter', slug: 'jupyter', title: 'JupyterLab', usedAs: 'NOTEBOOK', flavours: [small, medium],
        recommendedFlavour: medium,
      },
      {
        ...environment, id: 'E:desktop', slug: 'desktop', title: 'Desktop', usedAs: 'DESKTOP', flavours: [large, medium],
        recommendedFlavour: null,
      },
    ],
    ...more,
  };
}
