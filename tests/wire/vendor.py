"""A caller that uses only CPython's standard library. It signs and sends a call to every endpoint, and expects 200.

    vendor.py PORT PUBLIC_URL SECRET
"""
import hashlib
import hmac
import http.client
import json
import sys
import time
import uuid
from urllib.parse import urlencode

PORT, PUBLIC_URL, SECRET = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def call(method, path, inputs, key=None):
    key = key or str(uuid.uuid4())
    timestamp = str(int(time.time()))
    if method == "GET":
        content = json.dumps({name: str(value) for name, value in inputs.items()}, sort_keys=True)
        target, body = f"{path}?{urlencode(inputs)}", None
    else:
        content = json.dumps(inputs, ensure_ascii=False)
        target, body = path, content.encode()
    payload = f"{PUBLIC_URL}{path}:{key}:{timestamp}:{content}"
    headers = {
        "X-Idempotency-Key": key,
        "X-Timestamp": timestamp,
        "X-Signature": hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest(),
    }
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    connection.request(method, target, body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
        sys.exit(f"{method} {path} answered {response.status}: {answer}")
    return answer, response.headers.get("Idempotent-Replayed")


recent, _ = call("GET", "/orders/recent", {"email": "josé@example.com"})
assert [order["order_id"] for order in recent["orders"]] == [1009], recent
recent, _ = call("GET", "/orders/recent", {"email": "ana@example.com", "limit": 2})
assert [order["order_id"] for order in recent["orders"]] == [1005, 1004], recent
found, _ = call("POST", "/orders/find", {"filter": {"min_total_cents": 60000}, "limit": 20})
assert [order["order_id"] for order in found["orders"]] == [1009, 1007], found
refund = {"order_id": 1002, "amount_cents": 900, "reason": "Zu spät – 遅い 😀"}
first, replayed = call("POST", "/refunds", refund, key="vendor-refund")
assert replayed is None and first["left_cents"] == 12000, first
again, replayed = call("POST", "/refunds", refund, key="vendor-refund")
assert replayed == "true" and again == first, again
refunds, _ = call("GET", "/orders/refunds", {"order_id": 1002})
assert refunds["refunded_cents"] == 900 and len(refunds["refunds"]) == 1, refunds
assert refunds["refunds"][0]["reason"] == refund["reason"], refunds
ticket, _ = call("POST", "/tickets", {"email": "ben@example.com", "subject": "Käse", "body": "…", "tags": ["a"]})
assert ticket["ticket_id"] == 1, ticket
call("POST", "/notifications", {"email": "ben@example.com", "message": "Hello"})
print("8 calls, 8 answers")
