"""A caller that signs with Ed25519. It is written from the text of the protocol.

    ed25519.py make           prints a new private key in hexadecimal digits, and the base64 of its public key and of the
                              public key's SPKI
    ed25519.py call PORT PUBLIC_URL KEY METHOD PATH INPUTS IDEMPOTENCY_KEY
                              prints the status and the body; KEY is hexadecimal digits, or `file:PATH` of a PEM
"""
import base64
import http.client
import json
import sys
import time
from urllib.parse import urlencode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def make():
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    print(private.private_bytes_raw().hex())
    print(base64.b64encode(public.public_bytes_raw()).decode())
    print(base64.b64encode(spki).decode())


def read(key):
    if not key.startswith("file:"):
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key))
    with open(key.removeprefix("file:"), "rb") as file:
        return serialization.load_pem_private_key(file.read(), None)


def call(port, public_url, key, method, path, inputs, idempotency_key):
    inputs, timestamp = json.loads(inputs), str(int(time.time()))
    if method == "GET":
        content = json.dumps({name: str(value) for name, value in inputs.items()}, sort_keys=True)
        target, body = f"{path}?{urlencode(inputs)}", None
    else:
        content = json.dumps(inputs, ensure_ascii=False)
        target, body = path, content.encode()
    payload = f"{public_url}{path}:{idempotency_key}:{timestamp}:{content}"
    signature = read(key).sign(payload.encode()).hex()
    assert len(signature) == 128
    headers = {"X-Idempotency-Key": idempotency_key, "X-Timestamp": timestamp, "X-Signature": signature}
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
    connection.request(method, target, body, headers)
    response = connection.getresponse()
    print(json.dumps({"status": response.status, "body": json.loads(response.read())}))


{"make": make, "call": call}[sys.argv[1]](*sys.argv[2:])
