"""An OAuth issuer that signs every token that a test asks for, also wrong ones.

Standard input has one command in each line, a JSON object; standard output has its answer. The first line of standard
output is the issuer's URL. The metadata is only where RFC 8414 puts it.
"""
import base64
import hashlib
import hmac
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

KEYS = {
    "rsa": rsa.generate_private_key(65537, 2048),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "foreign": rsa.generate_private_key(65537, 2048),
}
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


class State:
    mode = "up"
    fetches = 0
    asked = 0
    let_go = threading.Event()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, length):
    return base64url(value.to_bytes(length, "big"))


def jwk(name):
    public = KEYS[name].public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "kid": name, "use": "sig", "n": number(numbers.n, 256), "e": number(numbers.e, 3)}
    if isinstance(public, ec.EllipticCurvePublicKey):
        numbers, length = public.public_numbers(), public.curve.key_size // 8
        point = {"x": number(numbers.x, length), "y": number(numbers.y, length)}
        return {"kty": "EC", "kid": name, "crv": f"P-{public.curve.key_size}", **point}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "kid": name, "crv": "Ed25519", "x": base64url(raw)}


def secrets():
    """The texts and bytes of the public RSA key, which a forger takes as the secret of an HMAC."""
    public = KEYS["rsa"].public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(serialization.Encoding.PEM, form)
    return {
        "pem": pem,
        "pem without line end": pem.rstrip(b"\n"),
        "der": public.public_bytes(serialization.Encoding.DER, form),
        "jwk": json.dumps(jwk("rsa")).encode(),
        "modulus": base64.urlsafe_b64decode(jwk("rsa")["n"] + "=="),
        "empty": b"",
    }


def signature(algorithm, key, message):
    if algorithm.startswith("HS"):
        name = {"256": "sha256", "384": "sha384", "512": "sha512"}[algorithm[2:]]
        return hmac.new(secrets().get(key, key.encode()), message, getattr(hashlib, name)).digest()
    hash_of = HASHES.get(algorithm[2:])
    if algorithm.startswith("RS"):
        return KEYS[key].sign(message, padding.PKCS1v15(), hash_of)
    if algorithm.startswith("PS"):
        return KEYS[key].sign(message, padding.PSS(padding.MGF1(hash_of), hash_of.digest_size), hash_of)
    if algorithm.startswith("ES"):
        r, s = decode_dss_signature(KEYS[key].sign(message, ec.ECDSA(hash_of)))
        length = KEYS[key].curve.key_size // 8
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")
    if algorithm in ("EdDSA", "Ed25519"):
        pair = KEYS.get(key) or ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key))
        return pair.sign(message)
    return b""


def sign(command):
    """Signs by the algorithm `by`, or else by the one that the header names. The key is one of the issuer's by its name, or
    of somebody else: a secret, or the hexadecimal digits of an Ed25519 key."""
    header, claims = command["header"], command["claims"]
    message = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}"
    made = signature(command.get("by", header["alg"]), command["key"], message.encode())
    return f"{message}.{base64url(made)}"


class Issuer(BaseHTTPRequestHandler):
    def do_GET(self):
        State.asked += 1
        if State.mode == "hang":
            State.let_go.wait()
        if State.mode == "down":
            return self.answer(503, {})
        if self.path == "/.well-known/oauth-authorization-server":
            return self.answer(200, {"issuer": url, "jwks_uri": f"{url}/jwks"})
        if self.path != "/jwks":
            return self.answer(404, {})
        State.fetches += 1
        keys = {"keys": [jwk(name) for name in KEYS if name != "foreign"]}
        if State.mode == "large":
            keys["padding"] = "x" * 1024 * 1024
        return self.answer(200, keys)

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            pass  # The server stops reading a document that is too long.

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
server.daemon_threads = True
url = f"http://127.0.0.1:{server.server_port}"
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps(url), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    answer = None
    if "header" in command:
        answer = sign(command)
    if "message" in command:
        answer = signature("Ed25519", command["key"], command["message"].encode()).hex()
    if "mode" in command:
        State.mode = command["mode"]
        State.let_go.set() if State.mode != "hang" else State.let_go.clear()
    if "asked" in command:
        answer = State.asked
    if "fetches" in command:
        answer = State.fetches
    print(json.dumps(answer), flush=True)
