// An OAuth authorization server: `oidc-provider`, a certified OpenID provider. It issues JWTs for one resource and for
// `/mcp` below it, lets clients register themselves, and takes everybody for the same person, who allows everything.
//
//     provider.mjs RESOURCE      prints the issuer's URL, and ends when standard input ends
import { once } from "node:events";
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import Provider, { errors } from "oidc-provider";

const [resource] = process.argv.slice(1);
const resources = [resource, `${resource}/mcp`];
const scope = "operator:read operator:act";
const server = createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const provider = new Provider(issuer, {
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "of-the-test", use: "sig", alg: "ES256" }] },
  cookies: { keys: ["of the test"] },
  // Clients name these scopes when they register themselves.
  scopes: ["openid", ...scope.split(" ")],
  clients: [{
    client_id: "backend",
    client_secret: "hush",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
  }],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, audience) => {
        if (!resources.some((one) => new URL(one).href === new URL(audience).href)) {
          throw new errors.InvalidTarget();
        }
        return { scope, audience, accessTokenFormat: "jwt", accessTokenTTL: 300, jwt: { sign: { alg: "ES256" } } };
      },
    },
  },
  interactions: { url: (_context, interaction) => `/approve/${interaction.uid}` },
  pkce: { required: () => true },
  ttl: { AccessToken: 300, ClientCredentials: 300, Grant: 300, IdToken: 300, Interaction: 300, Session: 300 },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  // Allows what the client asks for.
  loadExistingGrant: async (context) => {
    const { client, session, params } = context.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope(params.scope);
    for (const one of [params.resource].flat()) grant.addResourceScope(one, params.scope);
    await grant.save();
    return grant;
  },
});
server.on("request", async (request, response) => {
  if (request.url.startsWith("/approve/")) {
    return provider.interactionFinished(request, response, { login: { accountId: "ana" } });
  }
  return provider.callback()(request, response);
});
console.log(issuer);
await once(process.stdin.resume(), "end");
process.exit();
