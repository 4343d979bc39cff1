// An authorization server for tests: oidc-provider on loopback ports, with its state in
// memory. It grants whatever a client asks for and logs in everyone.
//
// Environment: PKI is a folder with server.crt, server.key, ca.crt, client.crt (its key is
// registered for self_signed_tls_client_auth) and assertion.pub (registered for
// private_key_jwt). PORT and MTLS_PORT are the ports, or 0 for any.
//
// When it is ready it prints one line of JSON: {"issuer": …, "mtls": …}.
//
//   POST /_control/rotate {"keep": true}   makes new keys; keep: the old ones stay published

import * as crypto from 'node:crypto';
import * as http from 'node:http';
import * as https from 'node:https';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Provider, errors } from 'oidc-provider';

const pem = (name) => readFileSync(`${process.env.PKI}/${name}`);

// Both servers listen before the provider is made, because its issuer names the port.
let handler = (req, res) => { res.statusCode = 503; res.end(); };
const plain = http.createServer((req, res) => handler(req, res));
const tls = https.createServer({
  key: pem('server.key'), cert: pem('server.crt'), ca: pem('ca.crt'), requestCert: true, rejectUnauthorized: false,
}, (req, res) => handler(req, res));
async function listen(server, port) {
  server.listen(Number(port ?? 0), '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}
const issuer = `http://127.0.0.1:${await listen(plain, process.env.PORT)}`;
const mtls = `https://127.0.0.1:${await listen(tls, process.env.MTLS_PORT)}`;

let generation = 0;
function newKey() {
  generation += 1;
  const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: `key-${generation}` };
}
let keys = [newKey()];

// The state outlives the Provider, which is made anew when its keys change.
const state = new Map();
function read(key) {
  const entry = state.get(key);
  if (entry?.expires < Date.now()) state.delete(key);
  return state.get(key)?.payload;
}
class Adapter {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload, ttl) { state.set(this.key(id), { payload, expires: ttl && Date.now() + ttl * 1000 }); }
  async find(id) { return read(this.key(id)); }
  async findByUid(uid) {
    return [...state.keys()].filter((key) => key.startsWith(this.key(''))).map(read).find((payload) => payload?.uid === uid);
  }
  async findByUserCode() { return undefined; }
  async destroy(id) { state.delete(this.key(id)); }
  async consume(id) { const payload = read(this.key(id)); if (payload) payload.consumed = Math.floor(Date.now() / 1000); }
  async revokeByGrantId(id) { for (const key of state.keys()) if (read(key)?.grantId === id) state.delete(key); }
}

// The resource that a client names decides on the format of the token. All tokens of
// .../opaque and .../jwt are for this API, and those of .../other are for another one.
function resourceServer(ctx, resource) {
  const format = { 'https://api.example/opaque': 'opaque', 'https://api.example/jwt': 'jwt', 'https://api.example/other': 'opaque' }[resource];
  if (!format) throw new errors.InvalidTarget('unknown resource');
  return { audience: resource, scope: 'read write', accessTokenTTL: 300, accessTokenFormat: format, jwt: { sign: { alg: 'RS256' } } };
}

const publicKey = (key, kid) => ({ keys: [{ ...key.export({ format: 'jwk' }), kid, use: 'sig' }] });
function registered(name) {
  const certificate = new crypto.X509Certificate(pem(name));
  return { keys: [{ ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] }] };
}

// The secret of a client with one is its client_id and "-secret".
function client(id, rest = {}) {
  const method = rest.token_endpoint_auth_method ?? 'client_secret_basic';
  return {
    client_id: id, redirect_uris: [], response_types: [], grant_types: ['client_credentials'],
    ...(method.startsWith('client_secret') ? { client_secret: `${id}-secret` } : {}), ...rest,
  };
}
const clients = () => [
  client('cc'),
  client('cc-dpop', { dpop_bound_access_tokens: true }),
  client('cc-mtls', { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: registered('client.crt'),
    tls_client_certificate_bound_access_tokens: true }),
  client('web', { redirect_uris: ['http://127.0.0.1/callback'], response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'] }),
  // The API that introspects, once for each method of authentication.
  client('rs'),
  client('rs-post', { token_endpoint_auth_method: 'client_secret_post' }),
  client('rs-key', { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256',
    jwks: publicKey(crypto.createPublicKey(pem('assertion.pub')), 'assertion') }),
  client('rs-tls', { token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'client.example' }),
  client('rs-self', { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: registered('client.crt') }),
  client('rs-signed', { introspection_signed_response_alg: 'RS256' }),
  // A client that may not introspect the tokens of others: it is told that they are not active.
  client('nosy'),
];

const certificate = (ctx) => ctx.socket.getPeerX509Certificate?.();
const configuration = () => ({
  adapter: Adapter,
  clients: clients(),
  jwks: { keys },
  cookies: { keys: ['for tests'] },
  scopes: ['openid', 'offline_access', 'read', 'write'],
  ttl: { AccessToken: 300, ClientCredentials: 300, RefreshToken: 3600, Session: 3600, Grant: 3600, Interaction: 600, IdToken: 300, AuthorizationCode: 60 },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'self_signed_tls_client_auth', 'tls_client_auth'],
  pkce: { required: () => true },
  issueRefreshToken: async (ctx, asking) => asking.grantTypeAllowed('refresh_token'),
  findAccount: async (ctx, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (ctx, asking, token) => asking.clientId.startsWith('rs') || asking.clientId === token.clientId },
    jwtIntrospection: { enabled: true },
    revocation: { enabled: true, allowedPolicy: (ctx, asking, token) => asking.clientId === token.clientId },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1) },
    mTLS: {
      enabled: true, certificateBoundAccessTokens: true, selfSignedTlsClientAuth: true, tlsClientAuth: true,
      getCertificate: certificate,
      certificateAuthorized: (ctx) => ctx.socket.authorized,
      certificateSubjectMatches: (ctx, property, wanted) => property === 'tls_client_auth_san_dns'
        && (certificate(ctx)?.subjectAltName ?? '').split(', ').includes(`DNS:${wanted}`),
    },
    resourceIndicators: { enabled: true, defaultResource: () => undefined, useGrantedResource: () => true, getResourceServerInfo: resourceServer },
  },
});

let provider;
function makeProvider() {
  provider = new Provider(issuer, configuration());
  provider.on('server_error', (ctx, error) => console.error(error));
}

// Every interaction logs in "alice" and grants what was asked for.
async function interact(req, res) {
  const { params } = await provider.interactionDetails(req, res);
  const grant = new provider.Grant({ accountId: 'alice', clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  if (params.resource) grant.addResourceScope(params.resource, params.scope);
  const result = { login: { accountId: 'alice' }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });
}

async function control(req, res) {
  let text = '';
  for await (const chunk of req) text += chunk;
  keys = JSON.parse(text).keep ? [newKey(), ...keys] : [newKey()];
  makeProvider();
  res.end();
}

makeProvider();
handler = (req, res) => {
  const failed = (error) => { console.error(error); res.statusCode = 500; res.end(); };
  if (req.url.startsWith('/interaction/')) interact(req, res).catch(failed);
  else if (req.method === 'POST' && req.url === '/_control/rotate') control(req, res).catch(failed);
  else provider.callback()(req, res);
};
console.log(JSON.stringify({ issuer, mtls }));
