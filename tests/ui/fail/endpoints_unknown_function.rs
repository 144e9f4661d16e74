use operator_runtime::endpoints;

fn main() {
    let _ = endpoints![orders];
}
