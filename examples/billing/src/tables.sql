-- The tables of the business and the first customers. The runtime records each call in the same database.
CREATE TABLE IF NOT EXISTS customers (
    customer text PRIMARY KEY,
    card text NOT NULL,
    limit_cents bigint NOT NULL,
    balance_cents bigint NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS ledger (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer text NOT NULL REFERENCES customers,
    amount_cents bigint NOT NULL,
    purpose text NOT NULL,
    booked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS ledger_by_customer ON ledger (customer, entry);
INSERT INTO customers (customer, card, limit_cents) VALUES
    ('ana@example.com', 'Visa ending in 4242', 50000),
    ('ben@example.com', 'Mastercard ending in 5100', 10000),
    ('acme@example.com', 'direct debit', 1000000000)
ON CONFLICT DO NOTHING;
