// Reads {"secret","headers","body"} as JSON lines and says of each whether the reference
// libraries of Standard Webhooks and Svix verify it.
import { createInterface } from "node:readline";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  const verdict = {};
  for (const [name, Webhook] of Object.entries({ standardwebhooks: Standard, svix: Svix })) {
    try {
      new Webhook(secret).verify(body, headers); // throws where something is wrong
      verdict[name] = JSON.parse(body).type;
    } catch {
      verdict[name] = "refused";
    }
  }
  console.log(JSON.stringify(verdict));
}
