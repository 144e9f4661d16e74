"""A server with the mistakes that are usual in servers written by hand. It uses only CPython's standard library.

It checks a call as the vendor's reference does: the signature, and that the timestamp is not too old. It keeps each answer
in a cache, but only once the handler has ended. So it has these faults:

- a duplicate, or a retry while the first attempt still runs, acts again;
- a timestamp from the future is accepted;
- an idempotency key with a colon is accepted, so that one payload belongs to two requests;
- other inputs under a used key get the cached answer.

    careless.py SECRET      prints its port, and then serves until it is killed
"""
import hashlib
import hmac
import itertools
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

SECRET = sys.argv[1]
NUMBERS, CACHE = itertools.count(1), {}


def is_verified(url, headers, content):
    key, timestamp = headers["X-Idempotency-Key"], headers["X-Timestamp"]
    if time.time() - int(timestamp) > 30:
        return False
    payload = f"{url}:{key}:{timestamp}:{content}".encode()
    expected = hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers["X-Signature"] or "")


def refund(inputs):
    time.sleep(0.3)  # A payment provider takes some time.
    return {"refund_id": next(NUMBERS), "order_id": inputs["order_id"]}


def stock(parameters):
    return {"product": parameters["product"], "left": 7}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_verified(self.url(), self.headers, body.decode()):
            return self.answer(401, {"detail": "The call is not verified."})
        key = self.headers["X-Idempotency-Key"]
        if key not in CACHE:
            CACHE[key] = refund(json.loads(body))
        self.answer(200, CACHE[key])

    def do_GET(self):
        parameters = dict(parse_qsl(self.path.partition("?")[2], keep_blank_values=True))
        if not is_verified(self.url(), self.headers, json.dumps(parameters, sort_keys=True)):
            return self.answer(401, {"detail": "The call is not verified."})
        self.answer(200, stock(parameters))

    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}{self.path.partition('?')[0]}"

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # The caller hung up.


server = Server(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
