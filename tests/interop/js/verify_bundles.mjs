// What @sigstore/verify says of each Sigstore bundle in a folder, as one JSON object on standard output: by file name
// {"verdict": "accepted", or the code of the refusal, "known": what of the file protobuf knows, in its JSON}.
// The folder's *.pub are the keys that are trusted, its trusted_root.json the logs. Where a certificate says who signed,
// the last two arguments say who must have: an identity and its issuer.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { bundleFromJSON, bundleToJSON } from "@sigstore/bundle";
import { crypto } from "@sigstore/core";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { Verifier, toSignedEntity, toTrustMaterial } from "@sigstore/verify";

const [folder, timestampThreshold, subjectAlternativeName, issuer] = process.argv.slice(2);
const read = (name) => readFileSync(join(folder, name), "utf8");
const named = (suffix) => readdirSync(folder).filter((name) => name.endsWith(suffix));

const keys = new Map();
for (const name of named(".pub")) {
  const publicKey = crypto.createPublicKey(read(name));
  const spki = publicKey.export({ format: "der", type: "spki" });
  keys.set(createHash("sha256").update(spki).digest("base64"), { publicKey, validFor: () => true });
}
const find = (hint) => {
  if (!keys.has(hint)) throw Object.assign(new Error(`no key for ${hint}`), { code: "PUBLIC_KEY_ERROR" });
  return keys.get(hint);
};

const root = TrustedRoot.fromJSON(JSON.parse(read("trusted_root.json")));
// A log of Rekor's second version tells no time: where no authority stamped it, none is asked for.
const verifier = new Verifier(toTrustMaterial(root, find), { timestampThreshold: Number(timestampThreshold) });

const policy = issuer && { subjectAlternativeName, extensions: { issuer } };

const judge = (name) => {
  try {
    const bundle = bundleFromJSON(JSON.parse(read(name)));
    verifier.verify(toSignedEntity(bundle), policy);
    return { verdict: "accepted", known: bundleToJSON(bundle) };
  } catch (error) {
    return { verdict: error.code ?? `${error.name}: ${error.message}` };
  }
};

const verdicts = Object.fromEntries(named(".sigstore.json").map((name) => [name, judge(name)]));
verdicts["trusted_root.json"] = { verdict: "read", known: TrustedRoot.toJSON(root) };
console.log(JSON.stringify(verdicts));
