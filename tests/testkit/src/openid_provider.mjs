// An OpenID provider that lets anybody in by any name. Arguments: the folder of node_modules. It prints its port, reads the
// client it has as a line of JSON, and prints that it is ready.
import http from 'node:http';
import path from 'node:path';
import readline from 'node:readline';
import { pathToFileURL } from 'node:url';

const entry = path.join(process.argv[1], 'node_modules/oidc-provider/lib/index.js');
const { default: Provider } = await import(pathToFileURL(entry));

const server = http.createServer();
server.listen(0, '127.0.0.1', () => console.log(server.address().port));

const lines = readline.createInterface({ input: process.stdin });
lines.once('line', (line) => {
  const { client, secret, pages } = JSON.parse(line);
  const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
    clients: [{
      client_id: client,
      client_secret: secret,
      redirect_uris: [`${pages}/openid/return`],
    }],
    pkce: { required: () => true, methods: ['S256'] },
  });
  server.on('request', provider.callback());
  console.log('ready');
});
// It ends with whoever started it.
lines.on('close', () => process.exit());
