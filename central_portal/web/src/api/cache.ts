import { cacheExchange, type Cache } from '@urql/exchange-graphcache';
import type { Exchange } from 'urql';
import { map, pipe } from 'wonka';
import { NewestWord } from './freshness';

const embedded = () => null;

/** Types that are a part of their parent; a facet's id, say, names a value, not a thing of its own. */
const PARTS = [
  'Capability', 'DatasetEdge', 'Facet', 'FacilityConnection', 'FacilityEdge', 'FacilityOutcome', 'File', 'FileConnection', 'Flavour', 'Grant',
  'LaunchWorkspacePayload', 'Member', 'Mirror', 'OpenDatasetConnection', 'OpenDatasetEdge', 'OpenDatasetFacets', 'PageInfo', 'Parameter', 'Problem',
  'ProposalEdge', 'ProposalResult', 'RestoreDatasetPayload', 'SearchFacets', 'SearchResult', 'Service', 'Software', 'Step',
  'StopWorkspacePayload', 'UnlinkAccountPayload', 'Variable', 'WorkspaceConnection', 'WorkspaceEdge',
];

function forgetWorkspaceLists(cache: Cache): void {
  for (const field of cache.inspectFields('Query')) {
    if (field.fieldName === 'workspaces') cache.invalidate('Query', field.fieldName, field.arguments);
  }
}

function isListed(cache: Cache, workspace: string): boolean {
  return cache
    .inspectFields('Query')
    .filter((field) => field.fieldName === 'workspaces')
    .some((field) => {
      const list = cache.resolve('Query', field.fieldName, field.arguments) as string | null;
      const nodes = list ? (cache.resolve(list, 'nodes') as string[] | null) : null;
      return nodes?.includes(workspace) ?? false;
    });
}

/** The normalised cache: an event about a thing changes every view of it. */
export const cache = (): Exchange =>
  cacheExchange({
    keys: Object.fromEntries(PARTS.map((name) => [name, embedded])),
    updates: {
      Mutation: {
        launchWorkspace: (_result, _arguments, store) => forgetWorkspaceLists(store),
      },
      Subscription: {
        workspaceChanged(result, _arguments, store) {
          const key = store.keyOfEntity(result.workspaceChanged as never);
          if (key && !isListed(store, key)) forgetWorkspaceLists(store);
        },
      },
    },
  });

/** Between cache and network: no answer takes a workspace back to an older state. */
export const newestWorkspaces: Exchange = ({ forward }) => {
  const words = new NewestWord();
  return (operations) =>
    pipe(
      forward(operations),
      map((result) => (result.data ? { ...result, data: words.apply(result.data) } : result)),
    );
};
