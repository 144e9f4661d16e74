use operator_runtime::App;

fn main() {
    let _ = App::new().state(std::rc::Rc::new(1));
}
