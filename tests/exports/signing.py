"""Signs the requests of schemathesis as the agent signs its calls. Each case is a new operation.

Written only from the text of the protocol. The signed URL is the public URL, which may differ from the server's address.
"""

import hashlib
import hmac
import json
import os
import time
import urllib.parse
import uuid

import requests
import schemathesis

PUBLIC_URL = os.environ["OPERATOR_PUBLIC_URL"]
SECRET = os.environ["OPERATOR_SIGNING_KEY"].encode()


class Signed(requests.auth.AuthBase):
    def __call__(self, request):
        url = urllib.parse.urlsplit(request.url)
        if request.method == "GET":
            pairs = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
            content = json.dumps(dict(pairs), sort_keys=True).encode()
        else:
            body = request.body or b""
            content = body.encode() if isinstance(body, str) else body
        key, timestamp = uuid.uuid4().hex, str(int(time.time()))
        payload = f"{PUBLIC_URL}{url.path}:{key}:{timestamp}:".encode() + content
        request.headers["X-Idempotency-Key"] = key
        request.headers["X-Timestamp"] = timestamp
        request.headers["X-Signature"] = hmac.new(SECRET, payload, hashlib.sha256).hexdigest()
        return request


@schemathesis.hook
def before_load_schema(context, schema):
    """Bounds integers of 64 bits, because schemathesis does not know their formats and the document does not bound them."""

    def bound(part):
        if isinstance(part, dict):
            if part.get("type") == "integer" and part.get("format") in ("int64", "uint64", "int", "uint"):
                part.setdefault("maximum", 2**53 - 1)
                part.setdefault("minimum", 1 - 2**53)
            part = list(part.values())
        if isinstance(part, list):
            for one in part:
                bound(one)

    bound(schema)


schemathesis.auth.set_from_requests(Signed())
