// An OpenID provider for the demo, standing in for UmbrellaID or for a facility's own sign-on.
// Reads its configuration as JSON from the file named on the command line.
import { createHash, generateKeyPairSync } from 'node:crypto';
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { modules, issuer, port, title, name, users, clients } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { default: Provider } = await import(pathToFileURL(createRequire(modules + '/').resolve('oidc-provider')));

// Only browsers resolve *.localhost by themselves.
const systemLookup = dns.lookup;
dns.lookup = (host, options, callback) =>
  systemLookup(/\.localhost$/.test(host) ? '127.0.0.1' : host, options, callback);

const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const find = (login) => users.find((user) => user.login === login);

const provider = new Provider(issuer, {
  clients: clients.map(({ base, callback, backchannel, after, pairwise, id, secret }) => ({
    client_id: id,
    client_secret: secret,
    redirect_uris: [base + callback],
    post_logout_redirect_uris: after ? [base + after] : [],
    grant_types: ['authorization_code'],
    ...(backchannel && { backchannel_logout_uri: base + backchannel, backchannel_logout_session_required: true }),
    ...(pairwise && { subject_type: 'pairwise' }),
  })),
  subjectTypes: ['public', 'pairwise'],
  pairwiseIdentifier: (_, account, client) =>
    createHash('sha256').update(`${name} ${account} ${client.clientId}`).digest('hex').slice(0, 32),
  jwks: { keys: [{ ...key, kid: 'k1', use: 'sig', alg: 'RS256' }] },
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
  scopes: ['openid'],
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource, postLogoutSuccessSource },
  },
  cookies: {
    keys: [createHash('sha256').update(JSON.stringify(key)).digest('hex')],
    names: { session: `${name}_session`, interaction: `${name}_interaction`, resume: `${name}_resume` },
  },
  ttl: { Session: 43200, Interaction: 600, Grant: 43200, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  async findAccount(_, login) {
    const user = find(login);
    return user && { accountId: login, claims: async () => ({ sub: login, name: user.name, preferred_username: login }) };
  },
  async loadExistingGrant(context) {
    // Nobody is asked for consent here: single sign-on is what the demo shows.
    const { oidc } = context;
    const known = oidc.result?.consent?.grantId || oidc.session.grantIdFor(oidc.client.clientId);
    const found = known && (await oidc.provider.Grant.find(known));
    if (found) return found;
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope('openid profile');
    await grant.save();
    return grant;
  },
  fetch: (url, options) => {
    const { dispatcher, ...rest } = options ?? {}; // the default refuses loopback addresses
    return globalThis.fetch(url, rest);
  },
});

const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const page = (heading, body) => `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(heading)}</title><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:0;background:light-dark(#eef1f4,#0b1015)}
main{max-width:26rem;margin:48px auto;padding:24px;border-radius:10px;background:light-dark(#fff,#182029)}
h1{font-size:22px;margin:0 0 8px}button{display:block;width:100%;min-height:44px;margin-top:12px;font:inherit;
font-weight:600;border:1px solid light-dark(#75828f,#7c8b99);border-radius:6px;background:transparent;color:inherit;cursor:pointer}
button:focus-visible{outline:3px solid light-dark(#0b5cad,#7fbcf7);outline-offset:2px}</style></head>
<body><main><h1>${escape(heading)}</h1>${body}</main></body></html>`;

async function logoutSource(context, form) {
  const button = '<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>';
  context.body = page(`Sign out of ${title}?`, form + button);
}

async function postLogoutSuccessSource(context) {
  context.body = page('Signed out', `<p>You are signed out of ${escape(title)}.</p>`);
}

async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method === 'POST') {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const login = new URLSearchParams(Buffer.concat(chunks).toString()).get('login');
    const result = find(login) ? { login: { accountId: login } } : { error: 'access_denied' };
    await provider.interactionFinished(request, response, result);
    return;
  }
  const choices = users
    .map((user) => `<button name="login" value="${escape(user.login)}">${escape(user.name)} (${escape(user.login)})</button>`)
    .join('');
  const note = '<p>This stands in for the real service: choose who you are.</p>';
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(page(title, `${note}<form method="post" action="/interaction/${details.uid}">${choices}</form>`));
}

const serve = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return serve(request, response);
  return interact(request, response).catch(() => {
    response.writeHead(400, { 'content-type': 'text/plain' });
    response.end('This sign-in is not known here. Start again.');
  });
}).listen(port, '127.0.0.1', () => console.log(`${title} is up`));

for (const event of ['server_error', 'backchannel.error', 'authorization.error']) {
  provider.on(event, (_, error) => console.log(event, error?.message, error?.error_description ?? ''));
}
