use operator_runtime::endpoints;

async fn orders() {}

fn main() {
    let _ = endpoints![orders, "refunds", orders()];
}
