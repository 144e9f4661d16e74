"""A server with the mistakes that are usual in servers written by hand. It uses only CPython's standard library.

It checks a call as the vendor's reference does: the signature, and that the timestamp is not too old. It keeps each answer
in a cache, but only once the handler has ended. So it has these faults:

- a duplicate, or a retry while the first attempt still runs, acts again;
- a timestamp from the future is accepted;
- an idempotency key with a colon is accepted, so that one payload belongs to two requests;
- other inputs under a used key get the cached answer.

With `first`, it has only the fault that is hardest to see: duplicates act, and each of them gets the answer that was
stored first, as with "insert or ignore, then select".

    careless.py SECRET [first]      prints its port, and then serves until it is killed
"""
import hashlib
import hmac
import itertools
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

SECRET, STORES_FIRST = sys.argv[1], sys.argv[2:] == ["first"]
NUMBERS, CACHE = itertools.count(1), {}


def is_verified(url, headers, content):
    key, timestamp = headers["X-Idempotency-Key"], headers["X-Timestamp"]
    age = time.time() - int(timestamp)
    if age > 30 or STORES_FIRST and age < -30:
        return False
    payload = f"{url}:{key}:{timestamp}:{content}".encode()
    expected = hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers["X-Signature"] or "")


def refund(inputs):
    time.sleep(2.5)  # Longer than a simulated caller waits before it hangs up, so that each retry finds it running.
    return {"refund_id": next(NUMBERS), "order_id": inputs["order_id"]}


def answer_stored_first(key, body):
    if ":" in key:
        return 400, {"detail": "The idempotency key has a colon."}
    if key not in CACHE:
        new = refund(json.loads(body))
        CACHE.setdefault(key, (new, body))
    stored, first_body = CACHE[key]
    return (200, stored) if body == first_body else (422, {"detail": "The key belongs to other inputs."})


def stock(parameters):
    return {"product": parameters["product"], "left": 7}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_verified(self.url(), self.headers, body.decode()):
            return self.answer(401, {"detail": "The call is not verified."})
        key = self.headers["X-Idempotency-Key"]
        if STORES_FIRST:
            return self.answer(*answer_stored_first(key, body))
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
