// Owns an identity provider: serves OpenID Connect on a free port, prints its issuer, and ends with its input.
// Usage: node identity.mjs FOLDER-OF-NODE-MODULES AUDIENCE
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, audience] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(join(folder, 'oidc-provider/lib/index.js')));

function key(algorithm, type, options) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), alg: algorithm, kid: `key of ${algorithm}`, use: 'sig' };
}

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'];
const keys = [
  key('RS256', 'rsa', { modulusLength: 2048 }),
  key('PS256', 'rsa', { modulusLength: 2048 }),
  key('ES256', 'ec', { namedCurve: 'P-256' }),
  key('EdDSA', 'ed25519', {}),
];

function algorithmOf(scope = '') {
  return scope.split(' ').find((one) => ALGORITHMS.includes(one)) ?? 'RS256';
}

const GROUPS = { ada: ['readers', 'writers'] };

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'crm',
        client_secret: 'secret-of-crm',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
      {
        client_id: 'portal',
        client_secret: 'secret-of-portal',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/back'],
      },
    ],
    jwks: { keys },
    cookies: { keys: ['a key for the cookies'] },
    enabledJWA: { idTokenSigningAlgValues: ALGORITHMS },
    pkce: { required: () => false },
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        useGrantedResource: () => true,
        getResourceServerInfo: (context) => ({
          audience,
          scope: ALGORITHMS.join(' '),
          accessTokenFormat: 'jwt',
          // The first scope that is asked for says with which key.
          jwt: { sign: { alg: algorithmOf(context.oidc.params.scope) } },
        }),
      },
    },
    extraTokenClaims: (_context, token) => ({ groups: GROUPS[token.accountId] ?? [] }),
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
  server.on('request', provider.callback());
  console.log(`issuer ${issuer}`);
});
process.stdin.resume().on('end', () => process.exit());
