import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import { formatAddress, launchAddress, openAddress, parseAddress, proposalsAddress, searchAddress } from './lib/address';
import { ownPath } from './lib/paths';
import { Broken, Missing, Waiting } from './shell/fallbacks';
import { Shell } from './shell/Shell';

const root = createRootRoute({ component: Shell, notFoundComponent: Missing });
const getParentRoute = () => root;

const home = createRoute({
  getParentRoute,
  path: '/',
  beforeLoad: ({ location }) => {
    // Whatever a visit came to is told on the page where people land.
    throw redirect({ to: '/facilities', search: location.search as never, replace: true });
  },
});

const facilities = createRoute({
  getParentRoute,
  path: '/facilities',
  component: lazyRouteComponent(() => import('./facilities/FacilitiesPage'), 'FacilitiesPage'),
});

const facility = createRoute({
  getParentRoute,
  path: '/facilities/$slug',
  component: lazyRouteComponent(() => import('./facilities/FacilityPage'), 'FacilityPage'),
});

const search = createRoute({
  getParentRoute,
  path: '/search',
  validateSearch: searchAddress,
  component: lazyRouteComponent(() => import('./search/SearchPage'), 'SearchPage'),
});

const dataset = createRoute({
  getParentRoute,
  path: '/datasets/$id',
  component: lazyRouteComponent(() => import('./search/DatasetPage'), 'DatasetPage'),
});

const proposals = createRoute({
  getParentRoute,
  path: '/proposals',
  validateSearch: proposalsAddress,
  component: lazyRouteComponent(() => import('./proposals/ProposalsPage'), 'ProposalsPage'),
});

const proposal = createRoute({
  getParentRoute,
  path: '/proposals/$id',
  component: lazyRouteComponent(() => import('./proposals/ProposalPage'), 'ProposalPage'),
});

const launch = createRoute({
  getParentRoute,
  path: '/launch',
  validateSearch: launchAddress,
  component: lazyRouteComponent(() => import('./launch/LaunchPage'), 'LaunchPage'),
});

const open = createRoute({
  getParentRoute,
  path: '/open',
  validateSearch: openAddress,
  component: lazyRouteComponent(() => import('./open/OpenPage'), 'OpenPage'),
});

const workspaces = createRoute({
  getParentRoute,
  path: '/workspaces',
  component: lazyRouteComponent(() => import('./workspaces/WorkspacesPage'), 'WorkspacesPage'),
});

const workspace = createRoute({
  getParentRoute,
  path: '/workspaces/$id',
  component: lazyRouteComponent(() => import('./workspaces/WorkspacePage'), 'WorkspacePage'),
});

const account = createRoute({
  getParentRoute,
  path: '/account',
  component: lazyRouteComponent(() => import('./account/AccountPage'), 'AccountPage'),
});

const connect = createRoute({
  getParentRoute,
  path: '/connect/$slug',
  validateSearch: (raw: Record<string, unknown>): { return?: string } =>
    raw.return === undefined ? {} : { return: ownPath(raw.return) },
  component: lazyRouteComponent(() => import('./visits/ConnectPage'), 'ConnectPage'),
});

const signInFailed = createRoute({
  getParentRoute,
  path: '/signin/failed',
  validateSearch: (raw: Record<string, unknown>): { reason?: string } =>
    typeof raw.reason === 'string' && /^[A-Z_]{1,40}$/.test(raw.reason) ? { reason: raw.reason } : {},
  component: lazyRouteComponent(() => import('./visits/SignInFailedPage'), 'SignInFailedPage'),
});

const signedOut = createRoute({
  getParentRoute,
  path: '/signout/done',
  component: lazyRouteComponent(() => import('./visits/SignedOutPage'), 'SignedOutPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    home, facilities, facility, search, dataset, proposals, proposal, launch, open, workspaces, workspace, account, connect,
    signInFailed, signedOut,
  ]),
  parseSearch: parseAddress,
  stringifySearch: formatAddress,
  defaultPreload: 'intent',
  defaultPendingMs: 150,
  defaultPendingComponent: Waiting,
  defaultErrorComponent: Broken,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
