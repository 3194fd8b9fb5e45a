/** Run inside a machine of its own: passes connections on. Arguments: PORT=TARGET…, where a target is a port or a unix socket. */
import { connect, createServer } from "node:net";

for (const pair of process.argv.slice(2)) {
  const [port = "", target = ""] = pair.split("=");
  const server = createServer((client) => {
    const upstream = target.startsWith("/") ? connect(target) : connect(Number(target), "127.0.0.1");
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      socket.on("error", () => {
        client.destroy();
        upstream.destroy();
      });
    }
  });
  server.listen(Number(port), "127.0.0.1");
}
